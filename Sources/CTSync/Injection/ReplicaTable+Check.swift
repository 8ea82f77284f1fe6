// SPDX-License-Identifier: GPL-2.0-or-later

/// The replica table's part in a `KernelCheck`.
extension ReplicaTable {
    /// From here on entries of the kernel are taken note of.
    func beginCheck() {
        forgetSeen()
        expectations.beginCheck()
    }

    /// Before a check, and before the looks after a promotion.
    func forgetSeen() {
        for place in 0..<pool.highWater { pool.replicas[place].flags.remove(.seen) }
    }

    /// Takes note of an entry that the kernel has; dirty where it is another than the replica, or where
    /// packets have passed: its time is not the long one any more, its windows are of now.
    ///
    /// - Returns: whether it is.
    func checkIsDifferent(_ entry: Entry, now: UInt32) -> Bool {
        let place = pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return false }
        let replica = pool.replicas + Int(place)
        replica.pointee.flags.insert(.seen)
        guard replica.pointee.flags.isSuperset(of: [.alive, .inKernel]),
            replica.pointee.flags.isDisjoint(with: [.dirty, .refused, .adopted]),
            // What was read may be older than what was just written.
            now &- replica.pointee.heldAtSeconds > 1
        else { return false }
        let said = request(at: place)
        if entry.isAcknowledged || Self.mustBecomeAnother(entry, said) {
            replica.pointee.flags.insert(.recreate)
        } else {
            let lacksLabels =
                entry.fields.contains(.labels)
                && (entry.extras.labelsLow != said.extras.labelsLow
                    || entry.extras.labelsHigh != said.extras.labelsHigh)
            let isSame =
                entry.mark == said.mark && entry.protocolInfo.state == said.protocolInfo.state
                && said.status.intersection(.onlyEverSet).isSubset(of: entry.status)
                && !lacksLabels && isHeld(entry, replica.pointee, now: now)
            guard !isSame else { return false }
        }
        markDirty(place)
        return true
    }

    /// Marks dirty what the kernel should have had since before the check and has not.
    ///
    /// - Returns: how many.
    func endCheck(beganSeconds: UInt32) -> Int {
        var missing = 0
        for place in 0..<pool.highWater {
            let replica = pool.replicas + place
            guard replica.pointee.flags.isSuperset(of: [.alive, .inKernel]),
                !replica.pointee.flags.contains(.seen),
                Int32(bitPattern: beganSeconds &- replica.pointee.heldAtSeconds) > 0
            else { continue }
            replica.pointee.flags.remove(.inKernel)
            markDirty(UInt32(place))
            missing += 1
        }
        return missing
    }
}

/// The expectation table's part in it.
extension ExpectationTable {
    fileprivate func beginCheck() {
        for place in 0..<highWater { held[place].isSeen = false }
    }

    /// Takes note of an expectation that the kernel has; of its zone the kernel says nothing.
    func checkSees(_ expectation: Expectation) {
        for place in 0..<highWater {
            let other = held[place].expectation
            if other.key.tuple == expectation.key.tuple, other.mask == expectation.mask,
                other.parent == expectation.parent
            {
                held[place].isSeen = true
            }
        }
    }

    /// Marks dirty what the kernel should have had since before the check and has not.
    func endCheck(beganSeconds: UInt32) -> Int {
        var missing = 0
        for place in 0..<highWater where !held[place].isSeen {
            guard held[place].flags.isSuperset(of: [.alive, .inKernel]),
                Int32(bitPattern: beganSeconds &- held[place].heldAtSeconds) > 0
            else { continue }
            held[place].flags.remove(.inKernel)
            held[place].flags.insert(.dirty)
            missing += 1
        }
        if missing > 0 { becameDirty() }
        return missing
    }
}
