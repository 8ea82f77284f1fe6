// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// What somebody does to the kernel underneath a running daemon, with no comparison at an interval.
    @Suite struct HandTests {
        private static let quiet = ["--reconcile", "0"]

        /// `conntrack -F` on the standby.
        @Test func aFlushedStandbyIsFilledAgainByItself() throws {
            try withCluster { cluster in
                try cluster.startDaemons(Self.quiet)
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<300, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 300)
                // What a role begins with is said only if it lasts.
                try Self.waitForHistory(second, ", in sync")
                try eventually("a role that is older than that") {
                    try (second.status()?.number("role_age_seconds") ?? 0) >= 2
                }
                try second.flush()
                try second.waitForEqualTable(to: first, atLeast: 300)
                try Self.waitForHistory(second, "somebody else has changed this kernel's table")
                try MadeEntries.apply((0..<50).map { .mark($0, 77) }, in: second.host)
                try second.waitForEqualTable(to: first, atLeast: 300)
                try cluster.waitInSync()
            }
        }

        /// When the standby that was flushed is made master.
        enum Moment: CaseIterable {
            /// Before it would have looked.
            case atOnce
            /// When it has noticed, and is in sync again.
            case inSync
            /// The control: it has nothing, and no daemon that would fill it again.
            case withoutReplication
        }

        /// All connections go on through it: none was left of 20 by TCP and 5 by UDP.
        @Test(arguments: Moment.allCases)
        func aFlushedStandbyTakesOverAllTheSame(_ moment: Moment) throws {
            let replication: Replication = moment == .withoutReplication ? .off : .on
            try scenario(
                translation: .masqueradeFullyRandom, replication: replication, starts: false
            ) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                if replication == .on { try cluster.startDaemons(Self.quiet) }
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let open = try cluster.connections(20, to: service)
                let streams = try (1...5).map { number in
                    try DatagramStream.udp(
                        from: cluster.client, to: cluster.server,
                        at: Endpoint(Plan.server(ipv6: false), service.port + UInt16(number)),
                        intervalMilliseconds: 20)
                }
                defer { for stream in streams { stream.stop() } }
                for stream in streams { try stream.expectReplies() }
                let count = open.count + streams.count
                if replication == .on {
                    try second.waitForEqualTable(to: first, atLeast: count)
                    let repaired = try number(second, "reconcile", "repaired")
                    try second.flush()
                    if moment == .inSync {
                        try eventually("in sync again", detail: { second.statusLine }) {
                            try number(second, "reconcile", "repaired") >= repaired + count
                                && second.status()?.isInSync == true
                        }
                    }
                }
                try cluster.crash(first)
                try cluster.promote(second)
                try onlyByReplication {
                    for connection in open {
                        try connection.exchange(within: replication.patience)
                    }
                    for stream in streams {
                        try stream.expectReplies(within: replication.patience)
                        try stream.expectOneIdentity()
                    }
                }
            }
        }

        /// nf_conntrack_events=0 on the master: what happened meanwhile is read, and events are on.
        @Test func eventsThatSomebodySwitchesOffAreOnAgain() throws {
            try withCluster { cluster in
                try cluster.startDaemons(Self.quiet)
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for node in [first, second] {
                    try node.host.set(["net.netfilter.nf_conntrack_events": 0])
                }
                try MadeEntries.create(0..<100, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 100)
                let words = ["cat", "/proc/sys/net/netfilter/nf_conntrack_events"]
                for node in [first, second] {
                    try eventually("events are on") { try node.host.run(words) == "1\n" }
                }
                try cluster.waitInSync()
            }
        }

        /// Entries from before anybody listened make no events: flushed, they are missing in the next walk
        /// and nobody has said why. What the master held a moment ago is not taken from its slave.
        @Test func aWalkOfAMasterThatIsSuddenlyEmptyPurgesNothing() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try first.host.set(["net.netfilter.nf_conntrack_events": 0])
                try MadeEntries.create(0..<50, in: first.host)
                try cluster.startDaemons(Self.quiet)
                try second.waitForEqualTable(to: first, atLeast: 50)
                let sent = try first.count("initsyncs_sent")
                try first.flush()
                #expect(try second.command(["resync"]).status == 0)
                // The slave asks again: the first one is not believed.
                try eventually("two walks", detail: { second.statusLine }) {
                    try first.count("initsyncs_sent") >= sent + 2
                }
                #expect(try first.table().isEmpty)
                #expect(try second.table().count == 50)
                #expect(try second.count("purged") == 0)
            }
        }

        private static func waitForHistory(_ node: Firewall, _ words: String) throws {
            try eventually("the history says: \(words)", every: 0.2) {
                try node.command(["history"]).output.contains(words)
            }
        }
    }
}
