// SPDX-License-Identifier: GPL-2.0-or-later

/// Entries that were made without their helper, as this node's kernel lacked it. It may be loaded later, and no
/// update gives an entry a helper.
extension ReplicaTable {
    /// Between two tries.
    private static let helperIntervalSeconds: UInt32 = 10
    /// The most that are made again at once.
    private static let helperLimit = 64

    /// Makes some of them again with it, if the kernel refuses what they expect: without that nothing is
    /// missing.
    func retryHelpers(now: UInt32) {
        guard expectations.refusedCount > 0, now &- helpersTriedAt >= Self.helperIntervalSeconds
        else { return }
        helpersTriedAt = now
        var left = Self.helperLimit
        expectations.visitRefused { parent in
            guard left > 0, let place = book.alivePlace(parent), kernel[place].state == .held,
                kernel[place].marks.contains(.helperless)
            else { return }
            left -= 1
            kernel[place].marks.remove(.helperless)
            missingHelpers.uncount(book.entry(at: place).extras.helper)
            kernel[place].attempts = 0
            move(place, .becameAnother)
        }
    }

    /// The kernel lacks a replica's helper.
    func lacksHelper(_ place: UInt32) {
        kernel[place].marks.insert(.helperless)
        missingHelpers.count(request: book.entry(at: place))
    }

    /// The kernel has made a replica: if it has its helper, it may expect again.
    func mayExpect(_ place: UInt32) {
        guard expectations.refusedCount > 0, !kernel[place].marks.contains(.helperless) else {
            return
        }
        let replica = book.pool.replicas[Int(place)]
        if replica.fields.contains(.helper) { expectations.retryRefused(of: replica.key) }
    }
}
