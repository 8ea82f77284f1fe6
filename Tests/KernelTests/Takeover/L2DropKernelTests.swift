// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// The drop on this machine's kernel, between two network namespaces.
@Suite(.serialized) struct L2DropKernelTests {
    private static let wires = ["w0", "w1", "w3"]

    /// A drop of the node's, made inside it.
    private func drop(
        _ hosts: TwoHosts, _ backend: L2DropChoice, syncdev: String = "sync",
        exempt: [String] = []
    ) throws -> L2Drop {
        try hosts.inNode { try L2Drop(syncdev: syncdev, exempt: exempt, backend: backend) }
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func darkNodeIsNotSeenAndTheSyncLinkWorks(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        let captures = try hosts.captures(Self.wires)
        let link = try #require(try hosts.captures(["w9"]).first)

        // What stands on the dark devices hears nothing either; a macvlan is no business of tables.
        let uppers = backend == .netdev ? ["br0", "mac0"] : ["br0"]
        let inside = try hosts.inNode { try uppers.map { try Capture($0) } }

        // Control: without the drop every wire shows frames.
        try hosts.talk(seconds: 2)
        for (wire, capture) in zip(Self.wires + uppers, captures + inside) {
            let frames = try capture.take()
            #expect(!frames.isEmpty, "nothing on \(wire) with the drop off")
            guard wire == "w0" else { continue }
            #expect(frames.contains { Array($0[36..<38]) == [0x12, 0xB5] }, "of the vxlan")
            let station = try hosts.station("mac0")
            #expect(frames.contains { Array($0[6..<12]) == station }, "of the macvlan")
        }

        let drop = try drop(hosts, backend)
        #expect(drop.choice == backend)
        try hosts.inNode { try drop.raise() }
        usleep(50_000)
        for capture in captures + inside { _ = try capture.take() }
        _ = try link.take()
        try hosts.talk(seconds: 3)
        for (wire, capture) in zip(Self.wires + uppers, captures + inside) {
            let frames = try capture.take()
            #expect(frames.isEmpty, "\(frames.count) frames on \(wire): \(frames.first ?? [])")
        }
        let replies = try link.take().filter { $0.count > 34 && $0[23] == 1 && $0[34] == 0 }
        #expect(replies.count > 3, "echo replies on the sync link")

        // Opened, lifted, and on again out of the opened state.
        for isTidied in [false, true] {
            try hosts.inNode {
                try drop.open()
                if isTidied { try drop.lift() }
            }
            #expect(!drop.isRaised)
            try hosts.talk(seconds: 1)
            for (wire, capture) in zip(Self.wires, captures) {
                #expect(try !capture.take().isEmpty, "nothing on \(wire) after the drop")
            }
            let isGone = try hosts.inNode { try L2Drop.status() }.isEmpty
            #expect(isGone == (isTidied || drop.choice == .netdev))
            try hosts.inNode { try drop.raise() }
            for capture in captures { _ = try capture.take() }
            try hosts.talk(seconds: 1)
            for capture in captures { #expect(try capture.take().isEmpty) }
        }
    }

    @Test func netdevDropsFramesThatAreNeitherIPNorARP() throws {
        let hosts = try TwoHosts()
        let capture = try #require(try hosts.captures(["w0"]).first)
        let lldp: [UInt8] =
            [1, 0x80, 0xC2, 0, 0, 0x0E, 2, 0, 0, 0, 0, 1, 0x88, 0xCC]
            + [UInt8](repeating: 0, count: 46)
        try hosts.sendFromNode([lldp], through: "eth0")
        #expect(try capture.take().contains { $0.starts(with: lldp[..<14]) })
        let drop = try drop(hosts, .auto)
        #expect(drop.choice == .netdev)
        try hosts.inNode { try drop.raise() }
        _ = try capture.take()
        try hosts.sendFromNode([lldp, lldp], through: "eth0")
        try hosts.sendFromNode([lldp], through: "mac0")
        #expect(try capture.take().isEmpty)
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func rulesOutliveTheirDaemonAndAreAdopted(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        do {
            let killed = try drop(hosts, backend)
            #expect(try hosts.inNode { try killed.adopt() } == false)
            try hosts.inNode { try killed.raise() }
        }
        let captures = try hosts.captures(Self.wires)
        try hosts.talk(seconds: 1)
        let status = try hosts.inNode { try L2Drop.status() }
        #expect(status == [L2DropStatus(name: "ct_sync_l2drop", backend: backend)])
        do {
            let second = try drop(hosts, backend)
            #expect(!second.isRaised)
            try hosts.talk(seconds: 1) {
                let isAdopted = try hosts.inNode { try second.adopt() }
                #expect(isAdopted)
            }
            #expect(second.isRaised)
            for capture in captures { #expect(try capture.take().isEmpty) }
        }

        // Another backend takes over what the first has left, and leaves nothing of it.
        do {
            let other = try drop(hosts, backend == .netdev ? .tables : .netdev)
            #expect(try hosts.inNode { try other.adopt() })
            let after = try hosts.inNode { try L2Drop.status() }
            #expect(after == [L2DropStatus(name: "ct_sync_l2drop", backend: other.choice)])
        }
        for capture in captures { #expect(try capture.take().isEmpty) }
        try hosts.inNode { try L2Drop.off() }
        #expect(try hosts.inNode { try L2Drop.status() }.isEmpty)
        try hosts.talk(seconds: 1)
        for capture in captures { #expect(try !capture.take().isEmpty) }
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func newDeviceIsDarkFromItsFirstPacketOn(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, backend)
        try hosts.inNode { try drop.raise() }
        #expect(try hosts.inNode { try drop.eventsArrived() } == false)
        try hosts.inNeighbour {
            try NetworkNamespace.shell(
                "ip link add late type veth peer name w7; ip link set w7 up")
        }
        let capture = try #require(try hosts.captures(["w7"]).first)
        try hosts.moveToNode("late")
        let began = Clock.now()
        try hosts.inNode {
            try NetworkNamespace.shell("ip link set late up; ip addr add 10.7.0.1/24 dev late")
            // Before anybody has looked: the tables by interface name hold.
            try NetworkNamespace.shell("bash -c 'echo > /dev/udp/10.7.0.2/9' 2>/dev/null || true")
        }
        #expect(ctsync_wait(drop.events, -1, 1_000_000_000) == 1)
        let looked = Clock.now()
        let isRenewed = try hosts.inNode { try drop.eventsArrived() }
        let tookMilliseconds = (Clock.now() - looked) / Duration.millisecond
        #expect(isRenewed == (backend == .netdev))
        #expect(tookMilliseconds < 100, "\(tookMilliseconds) ms, \(looked - began) ns before")
        try hosts.inNode {
            try NetworkNamespace.shell(
                "ip -6 addr add fd07::1/64 dev late; bash -c 'echo > /dev/udp/10.7.0.3/9' "
                    + "2>/dev/null || true")
        }
        sleep(2)
        let frames = try capture.take()
        #expect(frames.isEmpty, "\(frames)")
        if backend == .netdev {
            try hosts.sendFromNode([[UInt8](repeating: 0xFF, count: 60)], through: "late")
            #expect(try capture.take().isEmpty)
        }
    }

    @Test func carriersLetOnlyTheirTagThrough() throws {
        let hosts = try TwoHosts()
        try hosts.inNode {
            var vlan = Device(index: 90, name: "sync7")
            vlan.kind = "vlan"
            vlan.tag = .init(identifier: 7)
            let monitor = try DeviceMonitor()
            var devices = try monitor.devices()
            vlan.lower = devices.first { $0.name == "eth0" }?.index
            devices.append(vlan)
            let backend = try NetdevL2Drop(table: "ct_sync_l2drop")
            try backend.raise(DarkPlan(devices, open: ["sync7"]))
        }
        let capture = try #require(try hosts.captures(["w0"]).first)
        let tagged = { (tag: UInt8) -> [UInt8] in
            [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, tag, 0x08, 0]
                + [UInt8](repeating: 0, count: 46)
        }
        try hosts.sendFromNode([tagged(7), tagged(8), tagged(7)], through: "eth0")
        #expect(try capture.take().count == 2)
        // Inwards the accepted ones are counted by the rule.
        try hosts.inNeighbour {
            let socket = try Descriptor("packet socket") { ctsync_packet_open(0) }
            for frame in [tagged(7), tagged(9)] {
                _ = ctsync_packet_send(socket.raw, if_nametoindex("w0"), frame, frame.count)
            }
        }
        let listing = try hosts.inNode {
            try Nftables().run("list chain netdev ct_sync_l2drop carry_ingress0")
        }
        #expect(listing.contains("vlan id 7 counter packets 1 "), "\(listing)")
        try hosts.talk(seconds: 1)
        #expect(try capture.take().isEmpty)
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func macvlanAsSyncDevice(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, backend, syncdev: "mac0")
        try hosts.inNode { try drop.raise() }
        let capture = try #require(try hosts.captures(["w0"]).first)
        try hosts.talk(seconds: 2)
        let address = try hosts.station("mac0")
        let frames = try capture.take()
        #expect(frames.contains { $0.count > 34 && $0[23] == 1 && $0[34] == 0 }, "echo replies")
        #expect(frames.allSatisfy { Array($0[6..<12]) == address })
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func bridgeAsSyncDevice(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, backend, syncdev: "br0")
        try hosts.inNode { try drop.raise() }
        let captures = try hosts.captures(["w0", "w1"])
        try hosts.talk(seconds: 2)
        #expect(try captures[0].take().isEmpty)
        #expect(try captures[1].take().contains { $0.count > 34 && $0[23] == 1 && $0[34] == 0 })
    }

    /// While it has an owner nobody else takes the drop away; without one it is anybody's.
    @Test func aFlushDoesNotTouchTheDrop() throws {
        let hosts = try TwoHosts()
        let captures = try hosts.captures(Self.wires)
        do {
            let drop = try drop(hosts, .netdev)
            try hosts.inNode { try drop.raise() }
            for capture in captures { _ = try capture.take() }
            try hosts.talk(seconds: 2) {
                for _ in 0..<100 {
                    try hosts.inNode { try NetworkNamespace.shell("nft flush ruleset") }
                }
            }
            for capture in captures { #expect(try capture.take().isEmpty) }
            // Nor does another change of it by its owner open it.
            try hosts.talk(seconds: 1) {
                for _ in 0..<20 { try hosts.inNode { try drop.raise() } }
            }
            for capture in captures { #expect(try capture.take().isEmpty) }
        }
        try hosts.talk(seconds: 1)
        for capture in captures { #expect(try capture.take().isEmpty, "nobody owns it") }
        try hosts.inNode { try NetworkNamespace.shell("nft flush ruleset") }
        try hosts.talk(seconds: 1)
        for capture in captures { #expect(try !capture.take().isEmpty, "flushed") }
    }

    @Test(arguments: [L2DropChoice.tables])
    func flushedRulesComeBack(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, backend)
        try hosts.inNode { try drop.raise() }
        // Our own transactions settle: no renewal is the cause of the next.
        while ctsync_wait(drop.events, -1, 100_000_000) == 1 {
            #expect(try hosts.inNode { try drop.eventsArrived() } == false)
        }
        try hosts.inNode { try NetworkNamespace.shell("nft flush ruleset") }
        #expect(ctsync_wait(drop.events, -1, 1_000_000_000) == 1)
        #expect(try hosts.inNode { try drop.eventsArrived() })
        let captures = try hosts.captures(Self.wires)
        try hosts.talk(seconds: 1)
        for capture in captures { #expect(try capture.take().isEmpty) }
        var renewals = 0
        while ctsync_wait(drop.events, -1, 100_000_000) == 1 {
            if try hosts.inNode({ try drop.eventsArrived() }) { renewals += 1 }
        }
        #expect(renewals == 0)
        // Lifted, it stays off.
        try hosts.inNode { try drop.lift() }
        #expect(try hosts.inNode { try drop.eventsArrived() } == false)
        #expect(try hosts.inNode { try L2Drop.status() }.isEmpty)
    }

    /// Who closes a socket of netfilter waits for what was removed before, seconds on some machines.
    @Test func rolesThatChangeToAndFroWaitForNothingThatIsFreed() throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, .netdev)
        try hosts.inNode { try drop.raise() }
        let monitor = try hosts.inNode { try RulesetMonitor() }
        let captures = try hosts.captures(Self.wires)
        for _ in 0..<3 {
            try hosts.inNode { try drop.open() }
            #expect(try hosts.inNode { try L2Drop.status() }.isEmpty)
            try hosts.talk(seconds: 1)
            for capture in captures { #expect(try !capture.take().isEmpty) }
            try hosts.inNode { try drop.raise() }
            #expect(try hosts.inNode { try drop.isWhole() })
            for capture in captures { _ = try capture.take() }
            try hosts.talk(seconds: 1)
            for capture in captures { #expect(try capture.take().isEmpty) }
        }
        #expect(try hosts.inNode { try monitor.drain() } == false)

        // What others have removed may not be freed yet: then no socket is closed.
        try hosts.inNode {
            try NetworkNamespace.shell("nft add table ip other; nft delete table ip other")
        }
        #expect(ctsync_wait(drop.events, -1, 1_000_000_000) == 1)
        #expect(try hosts.inNode { try drop.eventsArrived() } == false)
        let sockets = try hosts.inNode { try Self.netfilterSockets() }
        try hosts.inNode {
            try drop.open()
            try drop.raise()
        }
        #expect(try hosts.inNode { try drop.isWhole() })
        #expect(try hosts.inNode { try Self.netfilterSockets() }.isSuperset(of: sockets))
    }

    /// A device that has come again meanwhile has no hook of the old one's.
    @Test func devicesThatChangeInATermAsMasterAreDarkAfterIt() throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, .netdev)
        let frame =
            [UInt8](repeating: 0xFF, count: 12) + [0x88, 0xB5] + [UInt8](repeating: 0, count: 46)
        func plug() throws -> Capture {
            try hosts.inNeighbour {
                try NetworkNamespace.shell(
                    "ip link add late type veth peer name w7; ip link set w7 up")
            }
            let capture = try #require(try hosts.captures(["w7"]).first)
            try hosts.moveToNode("late")
            try hosts.inNode { try NetworkNamespace.shell("ip link set late up") }
            return capture
        }
        _ = try plug()
        try hosts.inNode {
            try drop.raise()
            try drop.open()
        }
        try hosts.inNeighbour { try NetworkNamespace.shell("ip link del w7") }
        let capture = try plug()
        try hosts.sendFromNode([frame], through: "late")
        #expect(try capture.take().contains { $0.starts(with: frame[..<14]) })
        try hosts.inNode { try drop.raise() }
        #expect(try hosts.inNode { try drop.isWhole() })
        try hosts.sendFromNode([frame], through: "late")
        #expect(try capture.take().isEmpty)
    }

    /// The netfilter sockets of this network namespace by their inodes: /proc/net/netlink.
    private static func netfilterSockets() throws -> Set<String> {
        let lines = TextFile.lines("/proc/thread-self/net/netlink").map { $0.split(separator: " ") }
        return Set(lines.filter { $0.count > 9 && $0[1] == "12" }.map { String($0[9]) })
    }

    @Test func exemptDeviceStaysOpen() throws {
        let hosts = try TwoHosts()
        let drop = try drop(hosts, .auto, exempt: ["eth0"])
        try hosts.inNode { try drop.raise() }
        let captures = try hosts.captures(["w0", "w1"])
        try hosts.talk(seconds: 1)
        #expect(try !captures[0].take().isEmpty)
        #expect(try captures[1].take().isEmpty)
    }
}
