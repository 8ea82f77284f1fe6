// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// The replicas that a new master's kernel has no room for, as its table is full: other nodes hold them
/// still, and there may be room later.
///
/// 1. Ask for them again, each second; what the kernel has by then of their keys is newer and stays.
/// 2. What is made is given the time that it would have had, as the timers of the others have started.
/// 3. As long as there are any, the master's walks prove nothing (`MasterProtocol.timersRun`): what its
///    kernel does not have is to stay with its slaves.
///
/// Thread: `ct_sync_timer`, after the timers' walk; it owns the replica table meanwhile.
final class UnmadeReplicas {
    private let injector: Injector
    /// When they are asked for again; nil if there are none.
    private(set) var due: Instant?
    private static let interval = 1 * Duration.second

    /// - Throws: `SystemError` if a socket cannot be had.
    init(_ kernel: any KernelTable, now: Instant) throws(SystemError) {
        injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        injector.givesOwnTime = true
        due = now
    }

    /// Asks for them again if it is time.
    func step(_ table: ReplicaTable, now: Instant) throws(SystemError) {
        guard let due, now >= due else { return }
        self.due = now + Self.interval
        table.isCreateOnly = true
        defer { table.isCreateOnly = false }
        table.giveUpWaiting()
        table.retryRefused()
        let refusals = injector.refusals[Int(ENOMEM)]
        try injector.apply(table, now: UInt32(truncatingIfNeeded: now / Duration.second))
        // What is refused for another reason will be refused again.
        if injector.refusals[Int(ENOMEM)] == refusals, !table.isDirty, table.waiting.count == 0 {
            self.due = nil
        }
    }
}
