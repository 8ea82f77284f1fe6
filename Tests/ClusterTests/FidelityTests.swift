// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Testing

extension ClusterTests {
    /// Every kind of entry with every attribute, as the master's and the slave's kernels show it.
    @Suite struct FidelityTests {
        /// Without what cannot be set, or means its own node only.
        private func settable(_ entry: Entry) -> Entry {
            var entry = entry
            entry.id = 0
            entry.timeoutSeconds = 0
            entry.status.subtract([.IPS_SRC_NAT_DONE, .IPS_DST_NAT_DONE])
            // A replica that is open is let pass whatever its windows.
            let flags = TCPFlag.transferable & ~TCPFlag.beLiberal
            entry.protocolInfo.originalFlags &= flags
            entry.protocolInfo.replyFlags &= flags
            return entry
        }

        private func differences(_ first: [Key: Entry], _ second: [Key: Entry]) -> [String] {
            Set(first.keys).union(second.keys).compactMap { key in
                let (left, right) = (first[key].map(settable), second[key].map(settable))
                return left == right ? nil : "\(left as Any)\n   is not \(right as Any)"
            }
        }

        private func waitForEqual(_ first: Firewall, _ second: Firewall, count: Int) throws {
            var last: [String] = []
            try eventually(
                "\(count) entries in both, the same", within: 10, every: 0.1,
                detail: { last.joined(separator: "\n") }
            ) {
                let (left, right) = (
                    try FidelityCases.table(first), try FidelityCases.table(second)
                )
                last = differences(left, right) + ["\(left.count) and \(right.count)"]
                return last.count == 1 && left.count == count
            }
        }

        @Test func everyKindIsMadeChangedAndDeleted() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let count = try FidelityCases.make(cluster)
                #expect(count >= 60)
                try waitForEqual(first, second, count: count)
                let before = try FidelityCases.table(first)
                try FidelityCases.change(first)
                try waitForEqual(first, second, count: count)
                let after = try FidelityCases.table(first)
                #expect(
                    after.allSatisfy { key, entry in before[key].map(settable) != settable(entry) })
                // Deleted by the program, zone by zone; the same tuple stays in the others.
                try first.host.run(["conntrack", "-D", "-s", "10.1.0.77", "--zone", "1"])
                try waitForEqual(first, second, count: count - 2)
                for (family, source) in [("ipv4", "10.1.0.77"), ("ipv6", "fd00:1::77")] {
                    try first.host.run(["conntrack", "-D", "-f", family, "-s", source])
                }
                try waitForEqual(first, second, count: 0)
                try cluster.waitInSync()
                #expect(try second.status()?.isInSync == true)
            }
        }

        /// Whatever the kind, a check finds nothing to do where nothing differs.
        @Test func checksFindNothingOfAnyKind() throws {
            try withCluster { cluster in
                try cluster.startDaemons(["--reconcile", "1"])
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let count = try FidelityCases.make(cluster)
                try waitForEqual(first, second, count: count)
                let checks = try number(second, "reconcile", "checks")
                try eventually("three checks more") {
                    try number(second, "reconcile", "checks") >= checks + 3
                }
                #expect(try number(second, "reconcile", "repaired") == 0)
                try waitForEqual(first, second, count: count)
            }
        }

        /// A connection that ends and is made again within milliseconds is the new one everywhere.
        @Test func aPortUsedAgainAtOnce() throws {
            try withCluster { cluster in
                try cluster.startDaemons()
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                for pause in [UInt32(0), 100, 1_000] {
                    let steps = (0..<300).flatMap { round -> [MadeEntries.Step] in
                        let number = round % 20
                        // The last round leaves the even ones, with a mark of their own.
                        let made: [MadeEntries.Step] = [
                            .create(number), .mark(number, UInt32(round)),
                        ]
                        return round >= 280 && number % 2 == 0 ? made : made + [.delete(number)]
                    }
                    try MadeEntries.apply(steps, in: first.host, pauseMicroseconds: pause)
                    try second.waitForEqualTable(to: first, atLeast: 10)
                    #expect(
                        try second.table().map(\.mark).sorted()
                            == (280..<300).filter { $0 % 2 == 0 })
                    try MadeEntries.delete(0..<1, in: first.host)
                    for number in stride(from: 2, to: 20, by: 2) {
                        try MadeEntries.delete(number..<number + 1, in: first.host)
                    }
                    try second.waitForEqualTable(to: first, atLeast: 0)
                }
                try cluster.waitInSync()
            }
        }

        @Test func everyKindComesWithAnInitsyncAndSurvivesATakeover() throws {
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                // Connections from before any daemon.
                let count = try FidelityCases.make(cluster)
                try cluster.startDaemons()
                try waitForEqual(first, second, count: count)
                let wanted = try FidelityCases.table(first)
                try cluster.crash(first)
                try cluster.promote(second)
                try eventually("the timers run", detail: { cluster.logs }) {
                    try FidelityCases.table(second).values.allSatisfy { $0.timeoutSeconds <= 600 }
                }
                let found = try FidelityCases.table(second)
                #expect(differences(wanted, found).isEmpty)
                for (key, entry) in found {
                    let seconds = wanted[key]?.timeoutSeconds ?? 0
                    #expect(entry.timeoutSeconds + 20 >= seconds, "\(entry)")
                }
            }
        }
    }
}
