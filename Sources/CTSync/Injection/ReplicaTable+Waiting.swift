// SPDX-License-Identifier: GPL-2.0-or-later

/// A related entry and its parent come in any order: the kernel makes the one only after the
/// other. So it waits, and when it has waited too long it is made without, that the connection at
/// least survives.
extension ReplicaTable {
    /// Lets a replica wait, or makes it an orphan where too many do.
    ///
    /// - Returns: whether it waits; an orphan is to be created.
    func wait(_ place: UInt32, now: UInt32) -> Bool {
        let replica = pool.replicas + Int(place)
        if replica.pointee.flags.contains(.waiting) { return true }
        guard waiting.add(place, now: now) else {
            waiting.crowdedOut += 1
            makeOrphan(place)
            return false
        }
        replica.pointee.flags.insert(.waiting)
        return true
    }

    /// Looks at some of those that wait: those whose parent is there by now, or that have
    /// waited too long, become dirty.
    func lookAtWaiting(now: UInt32) {
        lookAtOrphans(now: now)
        guard waiting.count > 0 else { return }
        waiting.look { waiting, waiter in
            let replica = pool.replicas + Int(waiter.place)
            if replica.pointee.flags.contains(.dirty) { return false }
            if replica.pointee.flags.contains(.inKernel) {
                replica.pointee.flags.remove(.waiting)
                // An initsync may have shown meanwhile that there is no parent any more.
                if replica.pointee.flags.contains(.orphan) {
                    waiting.timedOut += 1
                } else {
                    waiting.found += 1
                }
                return true
            }
            if Int32(bitPattern: now &- waiter.deadlineSeconds) >= 0 {
                replica.pointee.flags.remove(.waiting)
                makeOrphan(waiter.place)
                waiting.timedOut += 1
                markDirty(waiter.place)
                return true
            }
            if isParentInKernel(of: replica.pointee) { markDirty(waiter.place) }
            return false
        }
    }

    /// Whether anything is to be looked at again soon.
    var isWaiting: Bool { waiting.count > 0 || expectations.waitingCount > 0 }

    /// Makes orphans of all that wait.
    func giveUpWaiting() {
        waiting.lookAtAll { waiting, place in
            pool.replicas[Int(place)].flags.remove(.waiting)
            makeOrphan(place)
            waiting.timedOut += 1
            markDirty(place)
        }
        waiting.removeAll()
    }

    /// The kernel is not told of its parent, until that is there.
    func makeOrphan(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        replica.pointee.fields.remove(.parent)
        // Where there is no room it stays without its parent.
        guard !replica.pointee.flags.contains(.orphan) else { return }
        replica.pointee.flags.insert(.orphan)
        _ = orphans.add(place, now: 0)
    }

    /// Has orphans made anew whose parent has come after all: no packet passes here yet, so
    /// nothing is lost with them.
    private func lookAtOrphans(now: UInt32) {
        guard orphans.count > 0 else { return }
        orphans.look { _, orphan in
            let replica = pool.replicas + Int(orphan.place)
            if !replica.pointee.fields.contains(.parent) {
                guard isParentInKernel(of: replica.pointee) else { return false }
                replica.pointee.fields.insert(.parent)
                if replica.pointee.flags.contains(.inKernel) {
                    replica.pointee.flags.insert(.recreate)
                }
                markDirty(orphan.place)
            }
            replica.pointee.flags.remove(.orphan)
            return true
        }
    }

    private func isParentInKernel(of replica: Replica) -> Bool {
        guard let flags = parentFlags(of: replica) else { return false }
        // One that is about to be made anew is not there: two that were expected by each other, at
        // different times, would wait for each other for ever.
        return flags.contains(.inKernel) && !flags.contains(.recreate)
    }
}
