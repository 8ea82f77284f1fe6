// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

enum BuildBefore {
    /// The ct_sync of the commit in Tests/mixed/before; nil if nobody asks for it.
    static let path = ProcessInfo.processInfo.environment["CT_SYNC_BINARY_BEFORE"]
}

extension ClusterTests {
    /// The build before beside this one, under load: `make test-mixed`.
    @Suite(.enabled(if: BuildBefore.path != nil, "make test-mixed"))
    struct MixedVersionTests {
        /// Where the build before runs, and whether there is a key.
        static let cases = [false, true].flatMap { key in [0, 1].map { ($0, key) } }
        private static let rate = 2_000

        /// 2,000 connections a second through the master: it is of the build before and the slave of this
        /// one, or the other way round; then the roles change, and change back. No slave needs the table
        /// but for the one time at its beginning, and no connection is lost.
        @Test(arguments: cases)
        func bothBuildsAreOneCluster(_ before: Int, _ isSealed: Bool) throws {
            try scenario(
                settings: ["net.netfilter.nf_conntrack_tcp_timeout_time_wait": 2],
                replication: .on, starts: false
            ) { cluster in
                let files = KeyFiles(cluster: cluster)
                for (number, node) in cluster.firewalls.enumerated() {
                    try files.write(isSealed ? [1] : [], for: node)
                    try node.start(
                        role: number == 0 ? .master : .slave,
                        ["--config", files.configuration(node)],
                        binary: number == before ? BuildBefore.path : nil)
                }
                try cluster.waitInSync()
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let load = try ShortConnections(
                    from: cluster.client, to: service, perSecond: Self.rate, within: 30)
                let began = Stopwatch.seconds()
                let long = try EchoConnection(from: cluster.client, to: service)
                for (round, master) in [0, 1, 0].enumerated() {
                    let other = 1 - master
                    if try cluster.firewalls[master].status()?.role != .master {
                        try cluster.demote(cluster.firewalls[other])
                        try cluster.promote(cluster.firewalls[master])
                    }
                    try cluster.waitInSync(within: 60)
                    try Self.expectStream(
                        from: cluster.firewalls[master], to: cluster.firewalls[other], load,
                        initsyncs: round / 2 + 1)
                    try long.exchange(within: 10)
                }
                let seconds = Stopwatch.seconds() - began
                let count = load.finish()
                print(
                    "mixed: the build before is node \(before + 1), \(isSealed ? "a" : "no") key: "
                        + "\(Int(Double(count.opened) / seconds)) connections/s, "
                        + "\(count.lost) lost")
                #expect(count.lost == 0, "\(count.reasons)")
                try cluster.firewalls[1].waitForEqualTable(to: cluster.firewalls[0])
            }
        }

        /// While some thousand connections come and go the slave misses nothing and asks for nothing.
        private static func expectStream(
            from master: Firewall, to slave: Firewall, _ load: ShortConnections, initsyncs: Int
        ) throws {
            let before = try RepairCounts(slave)
            #expect(before.received == initsyncs && before.lost == 0)
            let opened = load.count.finished
            try eventually("connections come and go", within: 60) {
                load.count.finished >= opened + 3 * rate
            }
            let sent = try master.count("sequence")
            try eventually("the stream goes on", detail: { slave.statusLine }) {
                try slave.count("sequence") >= sent
            }
            #expect(try RepairCounts(slave) == before, "\(slave.statusLine)")
            #expect(try slave.status()?.isInSync == true)
            for reason in ["version", "type", "message", "checksum", "tag"] {
                for node in [master, slave] { #expect(try node.bad(reason) == 0, "\(reason)") }
            }
        }
    }
}
