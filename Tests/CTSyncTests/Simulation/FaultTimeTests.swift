// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Each fault of a newcomer is told by a reason of its own on both nodes, three seconds later: in the time
/// of the engines, which no busy machine stretches. `FaultTests` has the sentences, of real daemons.
@Suite struct FaultTimeTests {
    private static let limit = 3 * Duration.second

    /// What is wrong, and what the nodes say of it; nil for a node that cannot say anything.
    struct Fault: CustomTestStringConvertible, Sendable {
        let name: String
        /// Whether it is there from the start, and not something that happens to a pair that is well.
        var isOfStart = true
        let happen: @Sendable (ReportedPair) throws -> Void
        let master: NodeReport.Reason?
        let slave: NodeReport.Reason?
        var testDescription: String { name }
    }

    private static func host(_ text: String) -> HostAddress {
        HostAddress(text: text) ?? HostAddress(.ipv4, Address(ipv4: 0))
    }

    static let faults = [
        Fault(
            name: "another port",
            happen: { pair in
                pair.cut()
                pair.expected[1].port = 3_782
                pair.frame = { source, packet in
                    SightingTests.frame(port: source == 1 ? 3_782 : 3_781, payload: packet)
                }
            }, master: .anotherPort, slave: .anotherPort),
        Fault(
            name: "another group",
            happen: { pair in
                pair.cut()
                pair.expected[1].hosts = [host("224.0.0.9")]
                pair.frame = { source, packet in
                    SightingTests.frame(
                        destination: [224, 0, 0, source == 1 ? 9 : 254], payload: packet)
                }
            }, master: .anotherGroup, slave: .anotherGroup),
        Fault(
            name: "another family",
            happen: { pair in
                pair.cut()
                pair.expected[1].hosts = [host("ff02::114")]
                pair.frame = { source, packet in
                    source == 1
                        ? SightingTests.frame6(payload: packet)
                        : SightingTests.frame(payload: packet)
                }
            }, master: .anotherGroup, slave: .anotherGroup),
        Fault(
            name: "the same id",
            happen: { pair in
                pair.wire.alter = { _, target, packet in
                    packet[2] = UInt8(target + 1)
                    seal(&packet, PacketChecksum())
                }
            }, master: .ownID, slave: .ownID),
        Fault(
            name: "a peer with another address",
            happen: { pair in
                pair.cut()
                pair.expected[1] = Sighting.Expectation(
                    port: 3_781, hosts: [host("172.31.255.77")], isMulticast: false)
                // What this slave sends goes to nobody.
                pair.frame = { source, packet in
                    source == 1
                        ? [] : SightingTests.frame(destination: [172, 31, 255, 2], payload: packet)
                }
            }, master: .alone, slave: .notAPeer),
        Fault(
            name: "other rules",
            happen: { pair in
                pair.cluster.nodes[1].filter.current = ReplicationFilter(
                    ownAddresses: [], syncNetworks: [], rules: [ReplicationRule(isAccept: true)])
            }, master: .alone, slave: .rulesDiffer),
        Fault(
            name: "another version",
            happen: { pair in pair.wire.alter = { _, _, packet in packet[0] = 0x20 } },
            master: .anotherVersion, slave: .anotherVersion),
        Fault(
            name: "another cluster",
            happen: { pair in
                let checksum = PacketChecksum(cluster: "another")
                pair.wire.alter = { _, _, packet in seal(&packet, checksum) }
            }, master: .anotherCluster, slave: .anotherCluster),
        Fault(
            name: "the master's rules", happen: { $0.cut(from: 1, to: 0) },
            master: .blockedHere, slave: .noAnswer),
        Fault(
            name: "the slave's rules", happen: { $0.cut(from: 0, to: 1) },
            master: .notHeard, slave: .blockedHere),
        Fault(
            name: "a dead slave", isOfStart: false, happen: { $0.cluster.nodes[1].kill() },
            master: .alone, slave: nil),
        Fault(
            name: "a dead master", isOfStart: false, happen: { $0.cluster.nodes[0].kill() },
            master: nil, slave: .masterSilent),
        Fault(
            name: "a pulled cable", isOfStart: false,
            happen: { pair in pair.unplug { $0.hasCarrier = false } }, master: .alone,
            slave: .linkDown),
        Fault(
            name: "a device that is gone", isOfStart: false,
            happen: { pair in pair.unplug { $0.isPresent = false } }, master: .alone,
            slave: .deviceGone),
        Fault(
            name: "two slaves", isOfStart: false,
            happen: { pair in try pair.cluster.order(0, .slave) }, master: .onlySlaves,
            slave: .onlySlaves),
    ]

    private static func seal(_ packet: inout [UInt8], _ checksum: PacketChecksum) {
        let value = checksum.value(of: packet.span.bytes)
        for index in 0..<4 {
            packet[PacketChecksum.place + index] = UInt8(
                truncatingIfNeeded: value >> (24 - 8 * UInt32(index)))
        }
    }

    @Test(arguments: faults) func eachIsTold(_ fault: Fault) throws {
        let pair = try ReportedPair()
        if fault.isOfStart { try fault.happen(pair) }
        try pair.cluster.order(0, .master)
        if !fault.isOfStart {
            try pair.waitUntilWell()
            try fault.happen(pair)
        }
        try pair.run(Self.limit)
        for (index, reason) in [fault.master, fault.slave].enumerated() {
            guard let reason else { continue }
            let report = pair.report(index)
            #expect(report.problem?.reason == reason, "node \(index): \(report.verdict)")
        }
    }

    /// Nothing is wrong, and nothing is said: the pair itself does not make the reasons.
    @Test func aPairThatIsWellSaysSo() throws {
        let pair = try ReportedPair()
        try pair.cluster.order(0, .master)
        try pair.run(Self.limit)
        for index in 0..<2 {
            #expect(pair.report(index).problem == nil, "\(pair.report(index).verdict)")
        }
    }

    /// A remark: the pair is well all the same.
    @Test func clocksThatAreApart() throws {
        let pair = try ReportedPair()
        pair.cluster.nodes[1].clock.offset = 5_000_000
        try pair.cluster.order(0, .master)
        try pair.run(Self.limit)
        for (index, side) in [(0, "behind node 2's"), (1, "ahead of node 1's")] {
            let warnings = pair.report(index).warnings
            #expect(warnings.map(\.reason) == [.clockApart])
            #expect(warnings.first?.sentence.hasSuffix(side) == true, "\(warnings)")
        }
    }

    /// 3,000 bytes at the ends, 1,500 between them: a remark on both, as smaller packets arrive.
    @Test func aPathThatTakesLess() throws {
        let headers = 28
        let pair = try ReportedPair(slotByteCount: 3_000 - headers)
        for index in pair.links.indices { pair.links[index].mtu = 3_000 }
        pair.wire.largest = 1_500 - headers
        try pair.cluster.order(0, .master)
        try pair.waitUntilWell()
        // So many at once that packets are large.
        for number in 0..<150 {
            var entry = SimulatedCluster.ownEntry(Address(ipv4: 0x0A00_0100 + UInt32(number)))
            entry.fields = [.status, .timeout]
            _ = pair.cluster.nodes[0].kernel.table.insert(entry, seconds: 1_000, .traffic)
        }
        try pair.run(Self.limit)
        let (master, slave) = (pair.report(0), pair.report(1))
        #expect(master.warnings.map(\.reason) == [.pathMTU])
        #expect(slave.warnings.map(\.reason) == [.pathMTU])
        #expect(
            master.warnings.first?.sentence
                == "large packets do not reach node 2; they have at most 1,452 bytes now")
        #expect(
            slave.warnings.first?.sentence
                == "large packets of node 1 do not reach this node; they have at most 1,452 bytes "
                + "now")
        let command = slave.warnings.first?.tries.last?.command
        #expect(command?.hasPrefix("ping -M do -s 2972 ") == true)
        try pair.waitUntilWell()
    }

    /// As one that is sealed with a key which the slave has not any more: it has to do with the table.
    @Test func aPacketThatNeverArrives() throws {
        let pair = try ReportedPair()
        try pair.cluster.order(0, .master)
        try pair.waitUntilWell()
        var lost: UInt64?
        pair.wire.alter = { source, _, packet in
            guard source == 0, let header = try? PacketHeader.read(packet.span.bytes, nil),
                header.type == .SYNC, lost ?? header.sequence == header.sequence
            else { return }
            lost = header.sequence
            packet[PacketChecksum.place] ^= 1
        }
        try pair.run(Self.limit)
        #expect(lost != nil && pair.report(1).problem != nil)
        try pair.waitUntilWell()
        #expect(pair.statuses[1].counters.lost > 0)
    }

    /// A key of its own, one node with and one without: told with the first packet, on both.
    @Test(
        arguments: [
            ([1], [2], .anotherKey, .anotherKey), ([1], [], .sealed, .unsealed),
        ] as [([UInt8], [UInt8], NodeReport.Reason, NodeReport.Reason)])
    func otherKeys(
        _ first: [UInt8], _ second: [UInt8], _ here: NodeReport.Reason, _ there: NodeReport.Reason
    ) throws {
        let now = 5 * Duration.second
        let one = try SealedNode(1, keys: first)
        let two = try SealedNode(2, keys: second, second.isEmpty ? .off : .strict)
        one.open(two.packet(now: now), from: two, now: now)
        two.open(one.packet(now: now), from: one, now: now)
        for (node, reason) in [(two, here), (one, there)] {
            var report = NodeReport()
            report.outOfSync = .noMaster
            report.link.isPresent = true
            report.link.hasCarrier = true
            report.seal.strangers = node.report.strangers.all(now: now)
            #expect(report.problem?.reason == reason, "\(report.verdict)")
        }
    }
}
