// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// What no event tells of is found in the background, and nothing else is touched.
    @Suite struct ReconciliationTests {
        /// A number in a daemon's status, by its group and key.
        private func number(_ firewall: Firewall, _ group: String, _ key: String) throws -> Int {
            let text = try firewall.statusCommand().output
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            guard let status = object as? [String: Any],
                let values = status[group] as? [String: Any],
                let number = values[key] as? Int
            else { throw NeverHappened("\(group).\(key) in \(text)", within: 0) }
            return number
        }

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
                let walks = try number(first, "reconcile", "walks")
                let checks = try number(second, "reconcile", "checks")
                try eventually("three walks and checks more") {
                    try number(first, "reconcile", "walks") >= walks + 3
                        && number(second, "reconcile", "checks") >= checks + 3
                }
                #expect(try kernelChanges(second) == before)
                #expect(try number(second, "reconcile", "repaired") == 0)
                #expect(try second.status()?.isInSync == true)
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
