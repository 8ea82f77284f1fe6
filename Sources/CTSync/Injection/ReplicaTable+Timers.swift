// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicaTable {
    /// Seconds by which the kernel's idea of a held timeout may differ from ours: both are rounded.
    private static let heldTolerance: UInt32 = 3

    /// The time that a replica's entry would have had at the master.
    ///
    /// A connection that is closing ages unseen: it has what was left of its last timeout. One that
    /// is open may have been refreshed by packets that made no event: it has its whole timeout.
    ///
    /// - Parameters:
    ///   - entry: the kernel's entry, from a dump.
    ///   - now: seconds of the slave's clock.
    /// - Returns: nil where the entry is no replica, or a packet has set its timeout since it was
    ///   held.
    func remainingTime(of entry: borrowing Entry, now: UInt32) -> UInt32? {
        let place = pool.find(entry.key)
        // Held by an earlier process, and not read yet: nobody knows what it had.
        guard place != ReplicaPool.noPlace else {
            return Self.mayBeHeld(entry) ? entry.defaultTimeoutSeconds : nil
        }
        let replica = pool.replicas[Int(place)]
        // What the kernel had already when it was handed over was held at another time.
        let isLong = Self.mayBeHeld(entry)
        let isOnHold = isHeld(entry, replica, now: now)
        guard isLong || isOnHold else { return nil }
        // The master has removed it, and this kernel would not.
        guard replica.flags.contains(.alive) else { return 1 }
        if replica.flags.contains(.adopted), Self.mayBeHeld(entry) {
            return entry.defaultTimeoutSeconds
        }
        guard Self.isClosing(replica) else { return max(1, replica.timeoutSeconds) }
        let age = now &- replica.saidAtSeconds
        return replica.timeoutSeconds > age ? replica.timeoutSeconds - age : 1
    }

    /// Whether a kernel's entry is a replica that no packet has touched since it was held.
    func isOnHold(_ entry: borrowing Entry, now: UInt32) -> Bool {
        let place = pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return false }
        return isHeld(entry, pool.replicas[Int(place)], now: now)
    }

    /// Whether an entry has the timeout of a replica that was renewed in time.
    static func mayBeHeld(_ entry: borrowing Entry) -> Bool {
        (holdSeconds - renewSeconds - 60...holdSeconds).contains(entry.timeoutSeconds)
    }

    /// Whether the kernel's entry has the long timeout that it was given.
    func isHeld(_ entry: borrowing Entry, _ replica: Replica, now: UInt32) -> Bool {
        let held = Self.holdSeconds &- min(Self.holdSeconds, now &- replica.heldAtSeconds)
        let difference = max(held, entry.timeoutSeconds) - min(held, entry.timeoutSeconds)
        return difference <= Self.heldTolerance
    }

    private static func isClosing(_ replica: Replica) -> Bool {
        replica.key.tuple.protocolNumber == ProtocolNumber.tcp
            && (TCPState.finWait...TCPState.close).contains(replica.protocolInfo.state)
    }
}
