// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Testing

extension ClusterTests {
    /// What no event tells of is found in the background, and nothing else is touched.
    @Suite struct ReconciliationTests {
        private func kernelChanges(_ firewall: Firewall) throws -> [Int] {
            try ["created", "updated", "deleted"].map { try number(firewall, "injected", $0) }
        }

        private func withReconciliation(_ body: (Firewall, Firewall) throws -> Void) throws {
            try withCluster { cluster in
                try cluster.startDaemons(["--reconcile", "1"])
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<300, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 300)
                try body(first, second)
            }
        }

        @Test func whereNothingDiffersNothingChanges() throws {
            try withReconciliation { first, second in
                let before = try kernelChanges(second)
                #expect(before[0] == 300)
                let raw = try RawMessages(in: second.host)
                try waitForWalksAndChecks(3, first, second)
                #expect(try raw.newEvents().isEmpty)
                #expect(try kernelChanges(second) == before)
                #expect(try number(second, "reconcile", "repaired") == 0)
                #expect(try second.status()?.isInSync == true)
            }
        }

        private func waitForWalksAndChecks(
            _ count: Int, _ first: Firewall, _ second: Firewall
        ) throws {
            let walks = try number(first, "reconcile", "walks")
            let checks = try number(second, "reconcile", "checks")
            try eventually("\(count) walks and checks more") {
                try number(first, "reconcile", "walks") >= walks + count
                    && number(second, "reconcile", "checks") >= checks + count
            }
        }

        /// The standby's kernel has the tuple already, of a connection with another translation: it
        /// becomes the master's, at once where the stream says it, by a check where it comes later.
        @Test func anEntryOfTheSameTupleBecomesTheMasters() throws {
            try withCluster { cluster in
                try cluster.startDaemons(["--reconcile", "1"])
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                let make = { (host: Firewall, port: Int, words: String) throws in
                    let line =
                        "conntrack -I -t 600 -p udp -s 10.1.0.77 -d 198.51.100.7 --dport 53 "
                        + "--sport \(port) \(words)"
                    try host.host.run(line.split(separator: " ").map(String.init))
                }
                try make(second, 1, "")
                try make(second, 2, "--src-nat 10.2.0.9")
                try make(first, 1, "--src-nat 10.2.0.5")
                try make(first, 2, "--src-nat 10.2.0.5")
                try make(first, 3, "--src-nat 10.2.0.5")
                try second.waitForEqualTable(to: first, atLeast: 3)
                let repaired = try number(second, "reconcile", "repaired")
                // The daemon may have made it again in between.
                try eventually("the standby has another of its own", within: 20) {
                    _ = try? second.host.run(["conntrack", "-D", "-p", "udp", "--sport", "3"])
                    return (try? make(second, 3, "")) != nil
                }
                try second.waitForEqualTable(to: first, atLeast: 3)
                #expect(try number(second, "reconcile", "repaired") > repaired)
            }
        }

        /// Whoever flushes a standby's kernel by hand has it filled again by resync.
        @Test func resyncFillsTheKernelAgain() throws {
            try withCluster { cluster in
                try cluster.startDaemons(["--reconcile", "0"])
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<300, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 300)
                try eventually("what was written is not new any more", within: 5) {
                    try second.table().allSatisfy {
                        $0.timeoutSeconds < ReplicaTable.holdSeconds - 2
                    }
                }
                try second.flush()
                #expect(try second.command(["resync"]).status == 0)
                try second.waitForEqualTable(to: first, atLeast: 300)
            }
        }

        /// What the rules leave out is not sent by any walk, and not touched by any check or purge;
        /// and where nothing differs the standby's kernel sees no change at all.
        @Test(arguments: ["accept protocol tcp", "accept mark 0x1/0x1"])
        func whatTheFilterLeavesOutIsLeftAlone(_ rule: String) throws {
            try withReportingCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                // Those of an even number are TCP and marked 1: chosen by both rules.
                let even = (0..<100).flatMap { number -> [MadeEntries.Step] in
                    [.create(number), .mark(number, number % 2 == 0 ? 1 : 2)]
                }
                try MadeEntries.apply(even, in: first.host)
                // The standby's own: half of them have tuples that the master has as well.
                let own = Array(stride(from: 51, to: 150, by: 2))
                try MadeEntries.apply(
                    own.flatMap { [.create($0), .mark($0, 8)] }, in: second.host)
                func left() throws -> [TableEntry] {
                    try second.table().filter { $0.mark & 1 == 0 }
                }
                try cluster.startDaemons(["--reconcile", "1", "--replicate", rule])
                try second.waitFor(replicatedFrom: first, foreign: 50) { $0.mark & 1 == 1 }

                let raw = try RawMessages(in: second.host)
                let (before, changes) = (try left(), try kernelChanges(second))
                try waitForWalksAndChecks(3, first, second)
                let initsyncs = try number(second, "initsyncs_received")
                #expect(try second.command(["resync"]).status == 0)
                try eventually("an initsync more") {
                    try number(second, "initsyncs_received") > initsyncs
                }
                #expect(try raw.newEvents().isEmpty)
                #expect(try kernelChanges(second) == changes)
                #expect(try number(second, "reconcile", "repaired") == 0)
                #expect(try number(second, "left_out") == 0)
                try eventually("50 entries sent by each walk, none left out", within: 3) {
                    let walks = try number(first, "initsyncs_sent")
                    return try number(first, "initsync_entries_sent") == 50 * walks && walks >= 5
                }
                let after = try left()
                #expect(TableDifference(after, before).isEmpty)
                #expect(zip(after, before).allSatisfy { $0.timeoutSeconds <= $1.timeoutSeconds })

                // What happens to those that are left out, on either node, stays there.
                try MadeEntries.apply(
                    stride(from: 51, to: 71, by: 2).map { .mark($0, 4) }, in: first.host)
                try MadeEntries.apply(
                    stride(from: 71, to: 81, by: 2).map { .delete($0) }, in: first.host)
                try MadeEntries.apply(
                    stride(from: 81, to: 101, by: 2).map { .mark($0, 16) }, in: second.host)
                try MadeEntries.apply(
                    stride(from: 101, to: 111, by: 2).map { .delete($0) }, in: second.host)
                let changed = try left()
                #expect(changed.count == 45)
                try waitForWalksAndChecks(2, first, second)
                #expect(try raw.newEvents().count == 15, "those by hand")
                #expect(TableDifference(try left(), changed).isEmpty)
                #expect(try kernelChanges(second) == changes)
                // And the others are still looked after.
                try MadeEntries.apply([.mark(0, 3), .delete(2)], in: second.host)
                try second.waitFor(replicatedFrom: first, foreign: 45) { $0.mark & 1 == 1 }
            }
        }

        @Test func whatTheMasterDidUnnoticedIsFound() throws {
            try withReconciliation { first, second in
                // From here on this kernel makes entries that never have events.
                try first.host.set(["net.netfilter.nf_conntrack_events": 0])
                try MadeEntries.create(300..<400, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 400)
                try MadeEntries.apply(
                    (300..<350).map { .mark($0, 77) }, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 400)
                try MadeEntries.delete(350..<400, in: first.host)
                try second.waitForEqualTable(to: first, atLeast: 350)
                #expect(try second.table().count == 350)
            }
        }

        @Test func whatSomebodyDidToTheSlaveIsRepaired() throws {
            try withReconciliation { first, second in
                try second.flush()
                #expect(try second.table().count < 300)
                try second.waitForEqualTable(to: first, atLeast: 300)
                try MadeEntries.apply((0..<50).map { .mark($0, 77) }, in: second.host)
                try second.waitForEqualTable(to: first, atLeast: 300)
                #expect(try number(second, "reconcile", "repaired") >= 350)
                // Held for long again, not for the time that the hand gave it.
                #expect(try second.table().allSatisfy { $0.timeoutSeconds > 80_000 })
            }
        }
    }
}
