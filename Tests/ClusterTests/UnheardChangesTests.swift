// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// nf_conntrack_events is 0 on a node that cannot set it, as in a container whose /proc/sys is
    /// read-only: changes of its table are not heard.
    @Suite struct UnheardChangesTests {
        struct Case: CustomTestStringConvertible, Sendable {
            /// nf_conntrack_events of master and slave.
            let events: (master: Int, slave: Int)
            /// What both say: the reason and a piece of the verdict; nil if they are well.
            var said: (master: Words, slave: Words)?
            typealias Words = (reason: String, words: String)
            var testDescription: String { "events \(events.master) and \(events.slave)" }
        }

        private static let mute = (
            "events_off", "MASTER, NOT REPLICATING: this kernel sends no events"
        )
        private static let deaf = ("events_off", "the kernel of node 1 sends no events")
        private static let readOnly = [
            "unshare", "--mount", "sh", "-c",
            "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\"",
            "sh",
        ]

        static let cases = [
            Case(events: (0, 0), said: (mute, deaf)),
            Case(
                events: (1, 0),
                said: (
                    ("alone", "no slave could take over"),
                    ("unwatched", "changes of this kernel's table are not heard")
                )), Case(events: (1, 1)),
        ]

        @Test(arguments: cases) func bothNodesSayIt(_ item: Case) throws {
            try withCluster { cluster in
                let (master, slave) = (cluster.firewalls[0], cluster.firewalls[1])
                for (node, value) in [(master, item.events.master), (slave, item.events.slave)] {
                    try node.host.set(["net.netfilter.nf_conntrack_events": value])
                }
                try master.start(role: .master, through: Self.readOnly)
                try slave.start(role: .slave, through: Self.readOnly)
                let cannot = "nf_conntrack_events is not 1 and cannot be set"
                if let said = item.said {
                    for (node, words) in [(master, said.master), (slave, said.slave)] {
                        try expect(node, words)
                    }
                    for (node, value) in [
                        (master, item.events.master), (slave, item.events.slave),
                    ] {
                        guard value == 0 else {
                            #expect(!node.log.contains(cannot), "\(node.log)")
                            continue
                        }
                        try eventually("\(node.name): why", detail: { node.log }) {
                            node.log.contains(cannot)
                        }
                    }
                    // From outside it can be set: both are well, without a new start.
                    for node in [master, slave] {
                        try node.host.set(["net.netfilter.nf_conntrack_events": 1])
                    }
                }
                try cluster.waitInSync(within: 60)
                try master.waitUntilWell()
                try MadeEntries.create(0..<10, in: master.host)
                try slave.waitForEqualTable(to: master, atLeast: 10, within: 30)
                if item.said == nil {
                    for node in [master, slave] { #expect(!node.log.contains(cannot)) }
                }
            }
        }

        private func expect(_ node: Firewall, _ said: Case.Words) throws {
            try eventually("\(node.name): \(said.reason)", within: 30, detail: { node.statusLine })
            {
                guard let status = try node.status() else { return false }
                return !status.isWell && status.reason == said.reason
                    && status.verdict.contains(said.words)
            }
            try eventually("\(node.name): a line of the journal", detail: { node.log }) {
                node.log.contains(said.words)
            }
        }
    }
}
