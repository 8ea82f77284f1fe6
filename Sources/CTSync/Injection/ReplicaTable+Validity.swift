// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicaTable {
    /// Calls `fault` with each thing that is not as it must be between two calls of an injector.
    func assertValid(_ fault: (String) -> Void = { fatalError($0) }) {
        book.assertValid(fault)
        kernel.assertValid(
            highWater: book.pool.highWater, { book.pool.replicas[Int($0)].standing }, fault)
        expectations.assertValid(fault)
        var awaited = 0
        var leftOut = 0
        for place in places {
            let injection = kernel[place]
            let replica = book.pool.replicas[Int(place)]
            if injection.parenthood == .awaited { awaited += 1 }
            if injection.parenthood == .leftOut { leftOut += 1 }
            if replica.standing != .alive, injection.parenthood != .asSaid {
                fault("place \(place) is not alive, and its parent is \(injection.parenthood)")
            }
            if injection.state == .waiting, injection.parenthood != .awaited {
                fault("place \(place) waits without being in the list")
            }
            if replica.standing == .alive, injection.state == .absent, replica.isSufficient {
                fault("place \(place) is alive, and the kernel is not asked for it")
            }
        }
        if awaited != waiting.count { fault("\(waiting.count) wait, \(awaited) are awaited") }
        // Those that found no room in the list stay without.
        if leftOut < orphans.count {
            fault("\(orphans.count) orphans, \(leftOut) without their parent")
        }
    }
}
