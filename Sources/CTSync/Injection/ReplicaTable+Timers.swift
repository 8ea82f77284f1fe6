// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicaTable {
    /// Seconds by which the kernel's idea of a held timeout may differ from ours: both are rounded.
    private static let heldTolerance: UInt32 = 3

    /// The least replicas looked at for renewal while some are refused.
    private static let refusedBudget = 1 << 16

    /// Looks at the next `budget` replicas: those whose long timeout is due are given it again, and
    /// those that the kernel refused are tried once more.
    func renew(budget: Int, now: UInt32) {
        let budget = refusedCount > 0 ? max(budget, Self.refusedBudget) : budget
        for _ in 0..<min(budget, book.pool.highWater) {
            if renewalCursor >= book.pool.highWater { renewalCursor = 0 }
            let place = renewalCursor
            renewalCursor += 1
            let standing = book.pool.replicas[Int(place)].standing
            if standing != .free, kernel[place].state.isRefused {
                kernel[place].attempts = 0
                move(place, .retried)
            } else if standing == .alive, isDue(kernel[place], now: now) {
                move(place, .changed)
            }
        }
    }

    /// Whether the kernel's entry, if it has one, is to be given its long timeout again.
    func isDue(_ injection: Injection, now: UInt32) -> Bool {
        !injection.state.hasNothing && now &- injection.heldAtSeconds > Self.renewSeconds
    }

    /// What becomes of a replica's entry when its timer starts.
    enum Fate: Equatable {
        case lives(seconds: UInt32)
        case isOver
    }

    /// What the time that a replica's entry would have had at the master makes of it.
    ///
    /// A connection that both sides have closed, or one has reset, ages unseen: it has what was left of its
    /// last timeout. Any other may have been refreshed by packets that made no event, also if one side has
    /// closed it: it has its whole timeout.
    ///
    /// - Parameters:
    ///   - entry: the kernel's entry, from a dump.
    ///   - now: seconds of the slave's clock.
    ///   - includesUnread: whether the kernel's table was not read whole since this node is slave:
    ///     what has a replica's time may then be one that an earlier process held.
    /// - Returns: nil if the entry is no replica, or a packet has set its timeout since it was
    ///   held.
    func fate(
        of entry: borrowing Entry, now: UInt32, includesUnread: Bool = false
    ) -> Fate? {
        let place = book.pool.find(entry.key)
        // Held by an earlier process, and not read yet: nobody knows what it had.
        guard place != ReplicaPool.noPlace else {
            let mayBeHeld = Self.mayBeHeld(entry)
            return includesUnread && mayBeHeld
                ? .lives(seconds: entry.defaultTimeoutSeconds) : nil
        }
        // What the kernel had already when it was handed over was held at another time.
        let isLong = Self.mayBeHeld(entry)
        let isOnHold = isHeld(entry, since: kernel[place].heldAtSeconds, now: now)
        guard isLong || isOnHold else { return nil }
        // The master has removed it, and this kernel would not.
        let replica = book.pool.replicas[Int(place)]
        guard replica.standing == .alive else { return .isOver }
        let left = Self.timeLeft(of: replica, now: now)
        return left > 0 ? .lives(seconds: left) : .isOver
    }

    /// The time that a replica has if its timer runs.
    func runningTime(at place: UInt32, now: UInt32) -> UInt32 {
        max(1, Self.timeLeft(of: book.pool.replicas[Int(place)], now: now))
    }

    private static func timeLeft(of replica: Replica, now: UInt32) -> UInt32 {
        guard isClosed(replica) else { return max(1, replica.timeoutSeconds) }
        let age = now &- replica.saidAtSeconds
        return replica.timeoutSeconds - min(age, replica.timeoutSeconds)
    }

    /// The time of a connection that a packet closed just before it was given an open one's time.
    ///
    /// - Parameter entry: the kernel's, from a later dump.
    /// - Returns: nil where that did not happen.
    func correctedTime(of entry: borrowing Entry) -> UInt32? {
        guard entry.key.tuple.protocolNumber == ProtocolNumber.tcp,
            (TCPState.finWait...TCPState.close).contains(entry.protocolInfo.state)
        else { return nil }
        let place = book.pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return nil }
        let replica = book.pool.replicas[Int(place)]
        let time = entry.defaultTimeoutSeconds
        // Much longer than any closing state's, and about what the walk gave.
        guard !Self.isClosed(replica), entry.timeoutSeconds > time + Self.walkSeconds,
            entry.timeoutSeconds + Self.walkSeconds >= replica.timeoutSeconds,
            entry.timeoutSeconds <= replica.timeoutSeconds
        else { return nil }
        return time
    }

    /// The longest that a walk of the timers takes.
    private static let walkSeconds: UInt32 = 600

    /// Whether a kernel's entry is a replica that no packet has touched since it was held.
    func isOnHold(_ entry: borrowing Entry, now: UInt32) -> Bool {
        let place = book.pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return false }
        return isHeld(entry, since: kernel[place].heldAtSeconds, now: now)
    }

    /// Whether an entry has the timeout of a replica that was renewed in time.
    static func mayBeHeld(_ entry: borrowing Entry) -> Bool {
        StandbyTime.mayBe(entry.timeoutSeconds)
    }

    /// Whether the kernel's entry has the long timeout that it was given.
    func isHeld(_ entry: borrowing Entry, since heldAtSeconds: UInt32, now: UInt32) -> Bool {
        let held = Self.holdSeconds &- min(Self.holdSeconds, now &- heldAtSeconds)
        let difference = max(held, entry.timeoutSeconds) - min(held, entry.timeoutSeconds)
        return difference <= Self.heldTolerance
    }

    private static func isClosed(_ replica: Replica) -> Bool {
        replica.key.tuple.protocolNumber == ProtocolNumber.tcp
            && (TCPState.timeWait...TCPState.close).contains(replica.protocolInfo.state)
    }
}
