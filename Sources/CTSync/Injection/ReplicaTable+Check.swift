// SPDX-License-Identifier: GPL-2.0-or-later

/// The replica table's part in a `KernelCheck`.
extension ReplicaTable {
    /// From here on entries of the kernel are marked as seen.
    func beginCheck() {
        for place in places { kernel[place].marks.remove(.seen) }
        expectations.beginCheck()
    }

    /// Marks an entry that the kernel has as seen; it is put right if it is another than the replica,
    /// or if packets have passed: its time is not the long one any more, its windows are of now.
    ///
    /// - Returns: whether it is.
    func checkIsDifferent(_ entry: Entry, now: UInt32) -> Bool {
        let place = book.pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return false }
        kernel[place].marks.insert(.seen)
        // What was read may be older than what was just written.
        guard kernel[place].state == .held, now &- kernel[place].heldAtSeconds > 1 else {
            return false
        }
        let said = request(at: place)
        if entry.isAcknowledged || Self.mustBecomeAnother(entry, said) {
            move(place, .becameAnother)
            return true
        }
        let lacksLabels =
            entry.fields.contains(.labels)
            && (entry.extras.labelsLow != said.extras.labelsLow
                || entry.extras.labelsHigh != said.extras.labelsHigh)
        let isSame =
            entry.mark == said.mark && entry.protocolInfo.state == said.protocolInfo.state
            && said.status.intersection(.onlyEverSet).isSubset(of: entry.status)
            && !lacksLabels && isHeld(entry, since: kernel[place].heldAtSeconds, now: now)
        guard !isSame else { return false }
        move(place, .changed)
        return true
    }

    /// Has made what the kernel should have had since before the check and has not.
    ///
    /// - Parameter found: takes each, as the master has said it.
    /// - Returns: how many.
    func endCheck(beganSeconds: UInt32, _ found: (Entry) -> Void = { _ in }) -> Int {
        var missing = 0
        for place in places where book.pool.replicas[Int(place)].standing == .alive {
            guard kernel[place].isMissing(beganSeconds) else { continue }
            found(request(at: place))
            move(place, .missing)
            missing += 1
        }
        return missing
    }

    /// Whether it has a replica of a connection, or had until its deletion went to the kernel.
    func knows(_ key: Key) -> Bool { book.pool.find(key) != ReplicaPool.noPlace }

    /// What the master has said of a connection.
    func said(_ key: Key) -> Entry? {
        let place = book.pool.find(key)
        return place == ReplicaPool.noPlace ? nil : request(at: place)
    }
}

extension Injection {
    /// Whether the kernel should have had it since before a check that has not seen it.
    fileprivate func isMissing(_ beganSeconds: UInt32) -> Bool {
        !state.hasNothing && !marks.contains(.seen)
            && Int32(bitPattern: beganSeconds &- heldAtSeconds) > 0
    }
}

/// The expectation table's part in it.
extension ExpectationTable {
    fileprivate func beginCheck() {
        for place in places { kernel[place].marks.remove(.seen) }
    }

    /// Marks an expectation that the kernel has as seen; of its zone the kernel says nothing.
    func checkSees(_ expectation: Expectation) {
        for place in places {
            let other = book.said[Int(place)].expectation
            if other.key.tuple == expectation.key.tuple, other.mask == expectation.mask,
                other.parent == expectation.parent
            {
                kernel[place].marks.insert(.seen)
            }
        }
    }

    /// Has made what the kernel should have had since before the check and has not.
    ///
    /// - Returns: how many.
    func endCheck(beganSeconds: UInt32) -> Int {
        var missing = 0
        for place in places where isHeld(place) {
            guard kernel[place].isMissing(beganSeconds) else { continue }
            move(place, .missing)
            missing += 1
        }
        return missing
    }
}
