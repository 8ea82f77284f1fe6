// SPDX-License-Identifier: GPL-2.0-or-later

/// Says what a master keeps back of a flush: once all of it is, and what became of it.
///
/// The kernel deletes the entries one by one, and while the machine is busy that takes a while: as long as
/// there are more at each look, nothing is said, for `patience` looks at most.
struct FlushWatch {
    private static let patience = 5

    /// What had been kept back before this flush, and at the last look.
    private var before: UInt64 = 0
    private var last: UInt64 = 0
    private var looks = 0
    private var isTold = false

    /// Looks once more.
    ///
    /// - Returns: the sentences for the journal.
    mutating func look(_ status: FlushHold.Status, isMaster: Bool, now: Instant) -> [String] {
        let isGrowing = status.total > last
        last = status.total
        guard last > before else { return [] }
        looks += 1
        let isHeld = status.count > 0 && isMaster
        var sentences: [String] = []
        if status.count > 0, !isTold, !isMaster || !isGrowing || looks >= Self.patience {
            isTold = true
            let left = (max(status.until, now) - now + Duration.second - 1) / Duration.second
            sentences.append(
                """
                flush held: \(Words.count(last - before, "entry", "entries")) of \(status.devices.joined(separator: ", ")), \
                until \(left) s from now: the slaves keep them meanwhile
                """)
        }
        guard !isHeld else { return sentences }
        let words =
            isMaster
            ? "this node is still master: the slaves purge them" : "another node is master"
        let entries = Words.count(last - before, "entry was", "entries were")
        sentences.append("flush over: \(entries) held; \(words)")
        (before, looks, isTold) = (last, 0, false)
        return sentences
    }
}
