// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

extension ClusterTests {
    /// The faults of a newcomer: each leads to its own sentence, on both nodes.
    @Suite struct FaultTests {
        /// What is wrong, and what the nodes say of it.
        struct Fault: CustomTestStringConvertible, Sendable {
            let name: String
            var masterFlags: [String] = []
            var slaveFlags: [String] = []
            /// Done to the pair before the daemons start, or afterwards.
            var before: @Sendable (Firewall, Firewall) throws -> Void = { _, _ in }
            var after: (@Sendable (Firewall, Firewall) throws -> Void)?
            /// The reason and a piece of the verdict.
            let master: (reason: String, words: String)
            let slave: (reason: String, words: String)
            var testDescription: String { name }
        }

        /// Drops what comes in for the sync link, as a firewall that nobody told of it.
        private static func block(_ node: Firewall) throws {
            try node.host.nft(
                """
                table inet closed {
                    chain c { type filter hook input priority 0; udp dport 3781 drop; }
                }
                """)
        }

        /// Gives packets of the sync link that come another version: the first byte after the UDP header.
        private static func change(_ version: UInt8, of node: Firewall) throws {
            try node.host.nft(
                """
                table inet older {
                    chain c {
                        type filter hook prerouting priority -400;
                        iifname sync0 udp dport 3781 @th,64,8 set \(version)
                    }
                }
                """)
        }

        static let faults = [
            Fault(
                name: "another port", slaveFlags: ["--port", "3782"],
                master: ("another_port", "node 2 (172.31.255.2) sends to UDP port 3782"),
                slave: ("another_port", "node 1 (172.31.255.1) sends to UDP port 3781")),
            Fault(
                name: "another group", masterFlags: ["--group", "224.0.0.254"],
                slaveFlags: ["--group", "224.0.0.9"],
                master: ("another_group", "node 2 (172.31.255.2) sends to 224.0.0.9"),
                slave: ("another_group", "node 1 (172.31.255.1) sends to 224.0.0.254")),
            Fault(
                name: "another family", masterFlags: ["--group", "224.0.0.254"],
                slaveFlags: ["--group", "ff02::114"],
                master: ("another_group", " sends to ff02::114"),
                slave: ("another_group", "node 1 (172.31.255.1) sends to 224.0.0.254")),
            Fault(
                name: "another device",
                before: { _, slave in
                    // What the slave calls sync0 is on another wire, which the master does not hear.
                    for (old, new) in [("sync0", "old0"), ("lan0", "sync0")] {
                        try slave.host.ip("link set \(old) down\nlink set \(old) name \(new)")
                        try slave.host.ip("link set \(new) up")
                    }
                },
                master: ("alone", "no slave could take over"),
                slave: (
                    "another_device",
                    "packets of node 1 (172.31.255.1) arrive on old0, which is no sync device of "
                        + "this node (sync0)"
                )),
            Fault(
                name: "the same id", slaveFlags: ["--id", "1"],
                master: ("own_id", "another node has our id 1 (from 172.31.255.2)"),
                slave: ("own_id", "another node has our id 1 (from 172.31.255.1)")),
            Fault(
                name: "another version",
                before: { master, slave in
                    // As if the master were of the next one: each node hears what the other would say.
                    try change(0x00, of: master)
                    try change(0x20, of: slave)
                },
                master: (
                    "another_version",
                    "the node at 172.31.255.2 speaks wire version 0, this is 1; upgrade that node"
                ),
                slave: (
                    "another_version",
                    "the node at 172.31.255.1 speaks wire version 2, this is 1; upgrade this node"
                )),
            Fault(
                name: "a peer with another address", masterFlags: ["--peer", "172.31.255.2"],
                slaveFlags: ["--peer", "172.31.255.77"],
                master: ("alone", "no slave could take over"),
                slave: ("not_a_peer", "node 1 (172.31.255.1) is not among the peers")),
            Fault(
                name: "a peer that is the node itself",
                masterFlags: ["--peer", "172.31.255.1"], slaveFlags: ["--peer", "172.31.255.2"],
                master: ("own_peer", "peer 172.31.255.1 is an address of this node"),
                slave: ("own_peer", "peer 172.31.255.2 is an address of this node")),
            Fault(
                name: "a peer in no network of the device",
                masterFlags: ["--peer", "10.99.0.2"], slaveFlags: ["--peer", "10.99.0.1"],
                master: ("peer_elsewhere", "peer 10.99.0.2 is in no network of sync0"),
                slave: ("peer_elsewhere", "peer 10.99.0.1 is in no network of sync0")),
            Fault(
                name: "other rules", slaveFlags: ["--replicate", "accept protocol tcp"],
                master: ("alone", "no slave could take over"),
                slave: ("rules_differ", "differ from those of node 1")),
            Fault(
                name: "the master's rules", before: { master, _ in try block(master) },
                master: ("blocked_here", "packets of node 2 (172.31.255.2) arrive on sync0"),
                slave: ("no_answer", "node 1 does not answer")),
            Fault(
                name: "the slave's rules", before: { _, slave in try block(slave) },
                master: ("not_heard", "node 2 (172.31.255.2) does not hear this node"),
                slave: ("blocked_here", "packets of node 1 (172.31.255.1) arrive on sync0")),
            Fault(
                name: "a dead slave", after: { _, slave in kill(slave.daemon?.pid ?? 0, SIGSTOP) },
                master: ("alone", "no slave could take over"), slave: ("", "")),
            Fault(
                name: "a dead master",
                after: { master, _ in kill(master.daemon?.pid ?? 0, SIGSTOP) },
                master: ("", ""), slave: ("master_silent", "node 1 is silent")),
            Fault(
                name: "a pulled cable",
                after: { _, slave in try slave.host.ip("link set sync0 down") },
                master: ("alone", "no slave could take over"),
                slave: ("link_down", "sync0 has no carrier")),
            Fault(
                name: "a device that is gone",
                after: { _, slave in try slave.host.ip("link del sync0") },
                master: ("alone", "no slave could take over"),
                slave: ("device_gone", "the sync device sync0 is gone")),
            Fault(
                name: "two slaves",
                after: { master, _ in try master.write("0\n") },
                master: ("only_slaves", "no node is master: node 2 (172.31.255.2) is slave too"),
                slave: ("only_slaves", "no node is master: node 1 (172.31.255.1) is slave too")),
        ]

        @Test(arguments: faults) func eachIsItsOwnSentence(_ fault: Fault) throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                try fault.before(master, slave)
                try master.start(role: .master, fault.masterFlags)
                try slave.start(role: .slave, fault.slaveFlags)
                defer {
                    for node in [master, slave] { kill(node.daemon?.pid ?? 0, SIGCONT) }
                }
                if let after = fault.after {
                    try cluster.waitInSync()
                    try master.waitUntilWell()
                    try after(master, slave)
                }
                try expect(master, fault.master)
                try expect(slave, fault.slave)
            }
        }

        private func expect(_ node: Firewall, _ said: (reason: String, words: String)) throws {
            guard !said.reason.isEmpty else { return }
            try eventually("\(node.name): \(said.reason)", detail: { node.statusLine }) {
                guard let status = try node.status() else { return false }
                return !status.isWell && status.reason == said.reason
                    && status.verdict.contains(said.words)
            }
            try eventually("\(node.name): a line of the journal", detail: { node.log }) {
                node.log.contains(said.words)
            }
        }

        /// A rule for what goes out: the node itself says so, also a slave that is in sync.
        @Test(arguments: [0, 1]) func packetsThatAreNotLetOutAreSaid(_ number: Int) throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                try cluster.waitInSync()
                let node = cluster.firewalls[number]
                try node.host.nft(
                    """
                    table inet closed {
                        chain c { type filter hook output priority 0; udp dport 3781 drop; }
                    }
                    """)
                let sentence = "the network refuses packets of this node (EPERM)"
                try eventually("its remark, and its line", detail: { node.log }) {
                    try node.status()?.text.contains("\"sends_refused\"") == true
                        && node.statusCommand(json: false).output.contains(sentence)
                        && node.log.contains("warning: \(sentence)")
                }
            }
        }

        /// A master that lives in 1970.
        @Test func clocksThatAreApartAreSaid() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[1]
                try node.start(role: .slave)
                let socket = try ForgingSocket(
                    in: cluster.firewalls[0].host, ipv6: false, device: "sync0")
                let epoch = UInt64(Date().timeIntervalSince1970 * 1_000_000)
                let packet = ForgedPackets(against: epoch, nodeID: 1).announcement
                try eventually("the remark, and its line", every: 0.1, detail: { node.log }) {
                    try socket.send([packet], to: Plan.sync(2), hopLimit: 255)
                    return try node.status()?.text.contains("\"clock_apart\"") == true
                        && node.log.contains("this node's clock is ")
                }
            }
        }
    }
}
