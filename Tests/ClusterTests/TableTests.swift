// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// How a standby is away from its cluster.
enum Absence: String, CaseIterable, CustomTestStringConvertible {
    case killed
    case cutOff
    var testDescription: String { rawValue }
}

extension ClusterTests {
    /// What the standby holds, whatever happens to the link and to the daemons.
    @Suite struct TableTests {
        @Test(arguments: Replication.allCases)
        func deletionsReplicate(_ replication: Replication) throws {
            let settings: KeyValuePairs = ["net.netfilter.nf_conntrack_tcp_timeout_close": 1]
            try scenario(settings: settings, replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<200, in: first.host)
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                try exchangeAndReset(cluster) {
                    try onlyByReplication {
                        try second.waitForEqualTable(
                            to: first, atLeast: 201, within: replication.patience)
                    }
                }
                try MadeEntries.delete(50..<150, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 100)
                try eventually("the end of the reset connection") {
                    try second.table().count == 100
                }
            }
        }

        /// An entry that was injected sends its end too, once its node is master.
        @Test(arguments: Replication.allCases)
        func injectedEntriesReportTheirEnd(_ replication: Replication) throws {
            let settings: KeyValuePairs = ["net.netfilter.nf_conntrack_tcp_timeout_close": 1]
            try scenario(settings: settings, replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<200, in: first.host)
                let server = try EchoServer(on: Plan.service(ipv6: false), in: cluster.server)
                defer { server.stop() }
                try exchangeAndReset(cluster) {
                    try onlyByReplication {
                        try second.waitForEqualTable(
                            to: first, atLeast: 201, within: replication.patience)
                    }
                    try cluster.crash(first)
                    try cluster.promote(second)
                    try first.flush()
                    try first.linksUp()
                    try first.start(role: .slave)
                    try cluster.waitInSync()
                    try first.waitForEqualTable(to: second, atLeast: 201)
                }
                try MadeEntries.delete(0..<100, in: second.host)
                try first.waitForEqualTable(to: second, atLeast: 100)
                try eventually("the end of the reset connection") { try first.table().count == 100 }
            }
        }

        /// Opens a connection, does something, and ends it with a reset.
        private func exchangeAndReset(_ cluster: Cluster, _ body: () throws -> Void) throws {
            let connection = try EchoConnection(
                from: cluster.client, to: Plan.service(ipv6: false))
            try connection.exchange()
            try body()
            try connection.exchange()
            try connection.resetOnClose()
        }

        @Test(arguments: Replication.allCases)
        func lateStandbyGetsFiftyThousand(_ replication: Replication) throws {
            try scenario(replication: replication, starts: false) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<50_000, in: first.host)
                if replication == .on {
                    try first.start(role: .master)
                    try second.start(role: .slave)
                    try cluster.waitInSync(within: 40)
                    #expect(try second.status()?.entriesHeld == 50_000)
                }
                try onlyByReplication {
                    try second.waitForEqualTable(
                        to: first, atLeast: 50_000, within: replication.patience)
                }
            }
        }

        @Test(arguments: Absence.allCases, Replication.allCases)
        func returningStandbyLosesWhatEnded(
            _ absence: Absence, _ replication: Replication
        ) throws {
            try scenario(replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<5000, in: first.host)
                try onlyByReplication {
                    try second.waitForEqualTable(
                        to: first, atLeast: 5000, within: replication.patience)
                }
                switch absence {
                case .killed: second.kill()
                case .cutOff: try cluster.cutSync(second)
                }
                try MadeEntries.delete(0..<2500, in: first.host)
                try MadeEntries.create(5000..<6000, in: first.host)
                let stale = TableDifference(try first.table(), try second.table())
                #expect(stale.onlySecond.count == 2500)
                switch absence {
                case .killed: try second.start(role: .slave)
                case .cutOff: try cluster.restoreSync(second)
                }
                try second.waitForEqualTable(to: first, atLeast: 3500)
                try cluster.waitInSync()
            }
        }

        @Test(arguments: Replication.allCases)
        func masterIsKilledAndStartsAgain(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<2000, in: first.host)
                try onlyByReplication {
                    try second.waitForEqualTable(
                        to: first, atLeast: 2000, within: replication.patience)
                }
                let epoch = try #require(try first.status()).epoch
                first.kill()
                try MadeEntries.delete(0..<500, in: first.host)
                try MadeEntries.create(2000..<2500, in: first.host)
                try first.start(role: .master)
                try cluster.waitInSync()
                #expect(try #require(try first.status()).epoch > epoch)
                try second.waitForEqualTable(to: first, atLeast: 2000)
                // And the live stream goes on.
                try MadeEntries.delete(500..<1000, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 1500)
            }
        }

        @Test(arguments: Replication.allCases)
        func lossOfATenthInEachDirection(_ replication: Replication) throws {
            try scenario(replication: replication) { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try first.loseArriving(percent: 10)
                try second.loseArriving(percent: 10)
                try MadeEntries.create(0..<1000, in: first.host)
                // Most live through it, some are marked, some end, some come and go.
                let steps = (1000..<9000).flatMap { number -> [MadeEntries.Step] in
                    switch number % 4 {
                    case 0: [.create(number), .mark(number, UInt32(number))]
                    case 1: [.create(number), .delete(number)]
                    case 2: [.create(number), .delete(number - 1000 + 2)]
                    default: [.create(number)]
                    }
                }
                try MadeEntries.apply(
                    Self.sane(steps), in: first.host, pauseMicroseconds: 200)
                try onlyByReplication {
                    try second.waitForEqualTable(
                        to: first, atLeast: 3000, within: replication.patience * 2)
                }
                if replication == .on { try cluster.waitInSync() }
            }
        }

        /// Leaves out deletions of what is not there.
        private static func sane(_ steps: [MadeEntries.Step]) -> [MadeEntries.Step] {
            var alive = Set(0..<1000)
            return steps.filter { step in
                switch step {
                case .create(let number): return alive.insert(number).inserted
                case .delete(let number): return alive.remove(number) != nil
                case .mark(let number, _): return alive.contains(number)
                }
            }
        }

        @Test(arguments: Replication.allCases)
        func twoStandbys(_ replication: Replication) throws {
            try scenario(firewalls: 3, replication: replication) { cluster in
                let nodes = cluster.firewalls
                try MadeEntries.create(0..<1000, in: nodes[0].host)
                let service = Plan.service(ipv6: false)
                let server = try EchoServer(on: service, in: cluster.server)
                defer { server.stop() }
                let connection = try EchoConnection(from: cluster.client, to: service)
                try connection.exchange()
                for standby in nodes[1...] {
                    try onlyByReplication {
                        try standby.waitForEqualTable(
                            to: nodes[0], atLeast: 1001, within: replication.patience)
                    }
                }
                try cluster.crash(nodes[0])
                try cluster.promote(nodes[1])
                try connection.exchange()
                try cluster.waitInSync()
                let later = try EchoConnection(from: cluster.client, to: service)
                try later.exchange()
                try MadeEntries.delete(0..<500, in: nodes[1].host)
                try nodes[2].waitForEqualTable(to: nodes[1], atLeast: 502)
                // The third is no worse a master.
                try cluster.crash(nodes[1])
                try cluster.promote(nodes[2])
                try connection.exchange()
                try later.exchange()
            }
        }
    }
}
