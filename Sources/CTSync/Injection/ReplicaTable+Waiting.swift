// SPDX-License-Identifier: GPL-2.0-or-later

/// A related entry and its parent come in any order: the kernel makes the one only after the
/// other. So it waits, and when it has waited too long it is made without, an orphan, that the
/// connection at least survives.
extension ReplicaTable {
    /// Lets a replica wait, or makes it an orphan if too many do, or if its parent has come and gone:
    /// what ends on a master the table does not hear of.
    ///
    /// - Returns: whether it waits; an orphan is to be created.
    func wait(_ place: UInt32, now: UInt32) -> Bool {
        if isCreateOnly, isParentInKernel(of: place) {
            stopWaiting(place)
            kernel[place].parenthood = .leftOut
            return false
        }
        if kernel[place].parenthood == .awaited { return true }
        guard waiting.add(place, now: now) else {
            waiting.crowdedOut += 1
            leaveOutParent(place)
            return false
        }
        kernel[place].parenthood = .awaited
        return true
    }

    /// Looks at some of those that wait: those whose parent is there by now, or that have
    /// waited too long, are tried again.
    func lookAtWaiting(now: UInt32) {
        lookAtOrphans()
        guard waiting.count > 0 else { return }
        waiting.look { waiting, waiter in
            let place = waiter.place
            let state = kernel[place].state
            if state.isTask { return false }
            if !state.hasNothing {
                kernel[place].parenthood = .asSaid
                waiting.found += 1
                return true
            }
            if Int32(bitPattern: now &- waiter.deadlineSeconds) >= 0 {
                leaveOutParent(place)
                waiting.timedOut += 1
                kernel.move(place, .retried)
                return true
            }
            if isParentInKernel(of: place) { kernel.move(place, .retried) }
            return false
        }
    }

    /// Makes orphans of all that wait.
    func giveUpWaiting() {
        waiting.lookAtAll { waiting, place in
            guard kernel[place].state.hasNothing else {
                kernel[place].parenthood = .asSaid
                waiting.found += 1
                return
            }
            leaveOutParent(place)
            waiting.timedOut += 1
            kernel.move(place, .retried)
        }
        waiting.removeAll()
    }

    /// Tries a refused replica, or one that waits, again at the end of an initsync: what stood in
    /// its way, or what it waited for, may have changed.
    ///
    /// A connection whose parent is gone is made one that nobody expected: the kernel would refuse it
    /// for ever. If the parent comes after all, the connection is made again.
    func tryAgain(_ place: UInt32, _ verdict: Ledger.Verdict) {
        let isRelated = book.pool.replicas[Int(place)].fields.contains(.parent)
        let isMade = kernel[place].parenthood == .awaited && !kernel[place].state.hasNothing
        if verdict == .purges, isRelated, !isMade, kernel[place].parenthood != .leftOut,
            parent(of: place) == nil
        {
            if kernel[place].parenthood == .awaited { waiting.timedOut += 1 }
            stopWaiting(place)
            leaveOutParent(place)
        }
        guard mayRetry(place) else { return }
        kernel[place].attempts = 0
        kernel.move(place, .retried)
    }

    /// Whether the kernel may be asked again for what it has refused: on a master, what has its key may be
    /// another by now.
    private func mayRetry(_ place: UInt32) -> Bool {
        !isCreateOnly || kernel[place].state.hasNothing
    }

    /// Asks for what the kernel has refused once more, some of it: at a promotion, which does not wait
    /// for more.
    func retryRefused() {
        guard refusedCount > 0 else { return }
        var left = Self.retryLimit
        for place in places where kernel[place].state.isRefused {
            guard mayRetry(place) else { continue }
            kernel[place].attempts = 0
            move(place, .retried)
            left -= 1
            if left == 0 { return }
        }
    }

    private static let retryLimit = 4_096

    /// The kernel is not told of its parent, until that is there.
    private func leaveOutParent(_ place: UInt32) {
        kernel[place].parenthood = .leftOut
        // If there is no room it stays without its parent.
        _ = orphans.add(place, now: 0)
    }

    /// Makes an orphan of what is about to be deleted and created again, if nothing is known to bring
    /// its parent: it is a connection that lives without it, and would be lost while it waits.
    func leaveOutLostParent(_ place: UInt32) {
        guard kernel[place].parenthood == .asSaid,
            book.pool.replicas[Int(place)].fields.contains(.parent)
        else { return }
        if let parent = parent(of: place) {
            let state = kernel[parent].state
            guard state.hasNothing, state != .creating else { return }
        }
        leaveOutParent(place)
    }

    /// Takes a replica out of those that wait.
    func stopWaiting(_ place: UInt32) {
        guard kernel[place].parenthood == .awaited else { return }
        waiting.remove(place)
        kernel[place].parenthood = .asSaid
    }

    /// It is among neither those that wait nor the orphans any more.
    func forgetParenthood(_ place: UInt32) {
        stopWaiting(place)
        guard kernel[place].parenthood == .leftOut else { return }
        orphans.remove(place)
        kernel[place].parenthood = .asSaid
    }

    /// Tells the kernel of an orphan's parent again if the master has spoken of another, of none, or
    /// of a connection that is new.
    func reconsiderParent(_ place: UInt32, _ isNew: Bool, _ change: Heard.Change) {
        guard isNew || change == .anotherParent else { return }
        forgetParenthood(place)
        move(place, .becameAnother)
    }

    /// Has orphans made again whose parent has come after all: no packet passes here yet, so
    /// nothing is lost with them. On a master they stay: packets pass, and there may be others by now.
    private func lookAtOrphans() {
        guard orphans.count > 0, !isCreateOnly else { return }
        orphans.look { _, orphan in
            guard isParentInKernel(of: orphan.place) else { return false }
            kernel[orphan.place].parenthood = .asSaid
            kernel.move(orphan.place, .becameAnother)
            return true
        }
    }

    // MARK: Parents

    /// Whether the parent of an expectation is a replica.
    func holdsParent(of expectation: borrowing Expectation) -> Bool {
        book.alivePlace(expectation.parentKey) != nil
    }

    /// The place of a related connection's parent; nil if that is not among the replicas.
    private func parent(of place: UInt32) -> UInt32? {
        guard let extras = book.pool.extras(place) else { return nil }
        var key = book.pool.replicas[Int(place)].key
        key.tuple = extras.parent
        return book.alivePlace(key)
    }

    /// One that is about to be made again is not there: two that were expected by each other, at
    /// different times, would wait for each other for ever.
    private func isParentInKernel(of place: UInt32) -> Bool {
        guard let parent = parent(of: place) else { return false }
        return kernel[parent].state.isThere
    }
}
