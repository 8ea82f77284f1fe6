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
    /// - Parameter beganSeconds: when the check began that has read it; nil if it was read after the last
    ///   request was answered.
    /// - Returns: whether it is.
    func checkIsDifferent(_ entry: Entry, beganSeconds: UInt32? = nil, now: UInt32) -> Bool {
        let isFresh = beganSeconds == nil
        if entry.fields.contains(.labels) { hasSeenLabels = true }
        let place = book.pool.find(entry.key)
        guard place != ReplicaPool.noPlace else { return false }
        kernel[place].marks.insert(.seen)
        // What was read may be older than what was just written.
        guard kernel[place].state == .held,
            beganSeconds.map({ kernel[place].isOlder(than: $0) }) ?? true
        else { return false }
        let said = request(at: place)
        if entry.isAcknowledged || Self.mustBecomeAnother(entry, said) {
            move(place, .becameAnother)
            return true
        }
        let isSame =
            entry.mark == said.mark && entry.protocolInfo.state == said.protocolInfo.state
            && said.status.intersection(.onlyEverSet).isSubset(of: entry.status)
            && !hasOtherLabels(entry, said, place, isFresh: isFresh)
            && isHeld(entry, since: kernel[place].heldAtSeconds, now: now)
        guard !isSame else { return false }
        move(place, .changed)
        return true
    }

    /// Whether its labels are not those that the master said. The kernel does not name labels that are all
    /// 0: such were cleared, or can be none.
    private func hasOtherLabels(
        _ entry: borrowing Entry, _ said: borrowing Entry, _ place: UInt32, isFresh: Bool
    ) -> Bool {
        let (here, there) = (entry.extras, said.extras)
        let isOther =
            here.labelsLow != there.labelsLow || here.labelsHigh != there.labelsHigh
        guard isOther else { return false }
        return entry.fields.contains(.labels)
            || (isFresh || hasSeenLabels) && !kernel[place].marks.contains(.labelless)
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

    /// Whether the kernel should have a connection of the master's.
    func isHere(_ key: Key) -> Bool {
        book.alivePlace(key).map { !kernel[$0].state.hasNothing } ?? false
    }

    /// Whether the master has spoken of a replica since the kernel's entry was adopted.
    func isConfirmed(_ key: Key) -> Bool {
        guard let place = book.alivePlace(key) else { return false }
        if case .adopted = kernel[place].state { return false }
        return true
    }

    /// The kernel has lost a connection that it should have, and its expectations: they are made again.
    func isLost(_ key: Key) {
        guard let place = book.alivePlace(key) else { return }
        if mayHaveHelper(place) { expectations.lostParent(key, isRecreated: true) }
        move(place, .missing)
    }

    /// Makes again what was made since then: nobody would be told of its end, nor of anything else as the entry
    /// of a master. What was there when the kernel's table was read may have been made when it was off before.
    func remake(since seconds: UInt32) {
        hasMute = true
        for place in places where book.pool.replicas[Int(place)].standing == .alive {
            switch kernel[place].state {
            case .adopted: move(place, .found(isAnother: true))
            case .held where Int32(bitPattern: kernel[place].heldAtSeconds &- seconds) >= 0:
                move(place, .becameAnother)
            default: break
            }
        }
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
        !state.hasNothing && !marks.contains(.seen) && isOlder(than: beganSeconds)
    }

    /// Whether it was written before a check began: what was written in the same second may be newer than
    /// what that reads.
    fileprivate func isOlder(than beganSeconds: UInt32) -> Bool {
        Int32(bitPattern: beganSeconds &- heldAtSeconds) > 0
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

    /// Whether the kernel should have an expectation of the master's.
    func isHere(_ expectation: Expectation) -> Bool {
        places.contains { place in
            isHeld(place)
                && book.said[Int(place)].expectation.key.tuple == expectation.key.tuple
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
