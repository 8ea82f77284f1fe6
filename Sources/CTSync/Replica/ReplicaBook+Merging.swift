// SPDX-License-Identifier: GPL-2.0-or-later

/// How what is said of a connection becomes what is known of it.
extension ReplicaBook {
    /// Merges into a living replica.
    mutating func merge(_ place: UInt32, _ entry: Entry, isWhole: Bool) -> Heard.Change {
        let before = self.entry(at: place)
        take(place, entry, isWhole: isWhole)
        let after = self.entry(at: place)
        guard Self.differs(before, after) else { return .none }
        if before.extras.parent != after.extras.parent { return .anotherParent }
        return Self.needsRecreation(before, after) ? .another : .update
    }

    /// Takes from an initsync's copy what the live stream has left unsaid since the begin.
    ///
    /// What was said before the begin does not count: events may have been lost since. A copy of another
    /// connection of the key, which has ended since, completes nothing.
    mutating func complete(_ place: UInt32, _ copy: Entry, now: UInt32) -> Heard.Change {
        let spoken = pool.replicas[Int(place)].spoken
        guard spoken != Replica.everything, copy.reply == pool.reply(place) else { return .none }
        var whole = copy
        whole.take(spoken, of: entry(at: place))
        let change = merge(place, whole, isWhole: true)
        if !spoken.contains(.timeout) { takeTimeout(place, copy, now: now) }
        return change
    }

    /// Takes the time that is said of a connection. A master that has not started its timers says a
    /// standby's.
    func takeTimeout(_ place: UInt32, _ entry: Entry, now: UInt32) {
        guard entry.fields.contains(.timeout) else { return }
        pool.replicas[Int(place)].timeoutSeconds =
            StandbyTime.mayBe(entry.timeoutSeconds)
            ? self.entry(at: place).defaultTimeoutSeconds : entry.timeoutSeconds
        pool.replicas[Int(place)].saidAtSeconds = now
    }

    /// Copies the said fields; in a whole entry the unsaid ones are none.
    mutating func take(_ place: UInt32, _ entry: Entry, isWhole: Bool) {
        let replica = pool.replicas + Int(place)
        let wasInsufficient = replica.pointee.isAliveInsufficient
        defer {
            insufficientCount +=
                (replica.pointee.isAliveInsufficient ? 1 : 0) - (wasInsufficient ? 1 : 0)
        }
        if entry.fields.contains(.status) {
            replica.pointee.status = UInt16(truncatingIfNeeded: entry.status.rawValue)
        }
        if isWhole || entry.fields.contains(.mark) { replica.pointee.mark = entry.mark }
        if isWhole || entry.fields.contains(.protocolInfo) {
            replica.pointee.protocolInfo = entry.protocolInfo
        }
        if isWhole {
            replica.pointee.fields = entry.fields
            replica.pointee.isHalf = false
            pool.dropRarity(place)
        } else {
            replica.pointee.fields.formUnion(entry.fields)
        }
        pool.setReply(place, entry.reply)
        storeExtras(place, entry)
    }

    mutating func storeExtras(_ place: UInt32, _ entry: Entry) {
        guard !entry.fields.isDisjoint(with: .extras) else { return }
        var extras = pool.extras(place) ?? Extras()
        if entry.fields.contains(.parent) { extras.parent = entry.extras.parent }
        if entry.fields.contains(.helper) { extras.helper = entry.extras.helper }
        if entry.fields.contains(.labels) {
            extras.labelsLow = entry.extras.labelsLow
            extras.labelsHigh = entry.extras.labelsHigh
        }
        if entry.fields.contains(.sequenceAdjustment) {
            extras.originalAdjustment = entry.extras.originalAdjustment
            extras.replyAdjustment = entry.extras.replyAdjustment
        }
        if entry.fields.contains(.synproxy) {
            extras.synproxyISN = entry.extras.synproxyISN
            extras.synproxyITS = entry.extras.synproxyITS
            extras.synproxyTSOffset = entry.extras.synproxyTSOffset
        }
        pool.setExtras(place, extras)
    }

    /// Status bits that an update can hand on.
    private static let settable: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]

    static func differs(_ before: Entry, _ after: Entry) -> Bool {
        before.status.intersection(settable) != after.status.intersection(settable)
            || before.mark != after.mark || before.protocolInfo != after.protocolInfo
            || before.reply != after.reply || before.extras != after.extras
    }

    /// Whether a kernel's entry that is `before` cannot be changed into `after`.
    static func needsRecreation(_ before: Entry, _ after: Entry) -> Bool {
        let cleared = before.status.subtracting(after.status)
        // An update adds labels and adjustments, but takes none away.
        let dropped = before.fields.subtracting(after.fields)
        return !cleared.isDisjoint(with: .onlyEverSet) || before.reply != after.reply
            || !dropped.isDisjoint(with: [.labels, .sequenceAdjustment, .synproxy])
            || before.extras.parent != after.extras.parent
            || before.extras.helper != after.extras.helper
    }
}
