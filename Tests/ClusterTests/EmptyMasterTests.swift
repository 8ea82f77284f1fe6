// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

extension ClusterTests {
    /// A node that is made master before it has the table takes it over instead of destroying it.
    @Suite struct EmptyMasterTests {
        private static let (entries, live) = (60_000, 20)

        enum Way: CaseIterable {
            case atOnce
            case after50Milliseconds
            case after300Milliseconds
            /// Its configuration says so: `state=1`.
            case startedAsMaster
            /// It had the table, was killed, has an empty kernel, and preempts.
            case cameBack

            var delay: Double {
                switch self {
                case .after50Milliseconds: 0.05
                case .after300Milliseconds: 0.3
                default: 0
                }
            }
        }

        /// Every live connection goes on, and both nodes end with all entries: nothing was purged.
        @Test(arguments: Way.allCases) func takesTheTableOver(_ way: Way) throws {
            try scenario(replication: .on, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<Self.entries, in: first.host)
                let flags = ["--require-sync", "0"]
                try first.start(role: .master, flags)
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let open = try (0..<Self.live).map { _ in
                    let connection = try EchoConnection(from: cluster.client, to: service)
                    try connection.exchange()
                    return connection
                }
                if way == .cameBack {
                    try second.start(role: .slave, flags)
                    try cluster.waitInSync(within: 60)
                    second.kill()
                    try second.flush()
                }
                try cluster.unplug(first)
                try second.start(role: way == .startedAsMaster ? .master : .slave, flags)
                pause(way.delay)
                try cluster.promote(second)
                try first.waitForRole(.slave)
                for connection in open { try connection.exchange(within: 60) }
                try cluster.waitInSync(within: 60)
                let all = Self.entries + Self.live
                try eventually("the whole table", within: 60, detail: { cluster.logs }) {
                    try cluster.firewalls.allSatisfy { try Self.count($0) >= all }
                }
                #expect(try first.count("purged") == 0)
                for connection in open { try connection.exchange() }
            }
        }

        private static func count(_ node: Firewall) throws -> Int {
            let text = try node.host.run(["conntrack", "-C"])
            return Int(text.filter(\.isNumber)) ?? -1
        }
    }
}
