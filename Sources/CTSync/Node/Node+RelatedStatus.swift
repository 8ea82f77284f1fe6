// SPDX-License-Identifier: GPL-2.0-or-later

extension Node {
    /// What became of related entries, and what this node lacks.
    func addRelated(_ report: inout StatusReport, _ related: RelatedStatus) {
        report.add(group: "related") { group in
            group.add("waiting_for_master", UInt64(related.waiting))
            group.add("found_master", related.found)
            group.add("without_master_timed_out", related.timedOut)
            group.add("without_master_crowded_out", related.crowdedOut)
        }
        report.add(group: "expectations") { group in
            group.add("held", UInt64(related.expectations))
            group.add("waiting_for_master", UInt64(related.expectationsWaiting))
            group.add("refused", UInt64(related.expectationsRefused))
            group.add("created", related.expectationsCreated)
            group.add("deleted", related.expectationsDeleted)
        }
        report.add(group: "reconcile") { group in
            group.add("interval_seconds", UInt64(configuration.reconcileSeconds))
            group.add("walks", master.initsync.reconciliationCount)
            group.add("checks", link.status.checks)
            group.add("repaired", link.status.repaired)
        }
        report.add(group: "lacking") { group in
            group.add("nat", related.untranslatable)
            group.add("nat_chain", UInt64(natCheck.lacking))
            group.add("labels", related.labelsIgnored)
            for index in 0..<related.missingHelpers.nameCount {
                let item = related.missingHelpers[index]
                group.add("helper_\(item.name)", item.count)
            }
        }
    }
}
