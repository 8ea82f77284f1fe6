// SPDX-License-Identifier: GPL-2.0-or-later

/// How what is said of a connection becomes what is known of it.
extension ReplicaTable {
    func revive(_ place: UInt32, _ entry: Entry) {
        let replica = pool.replicas + Int(place)
        replica.pointee.flags.insert(.alive)
        replica.pointee.flags.remove(.helperless)
        if replica.pointee.flags.contains(.inKernel) { replica.pointee.flags.insert(.recreate) }
        aliveCount += 1
        replica.pointee.fields = []
        take(place, entry, isWhole: true)
        markDirty(place)
    }

    /// Merges into a living replica; dirty if the kernel's entry must follow.
    func merge(_ place: UInt32, _ entry: Entry, isWhole: Bool) {
        let replica = pool.replicas + Int(place)
        let before = self.entry(at: place)
        take(place, entry, isWhole: isWhole)
        let after = self.entry(at: place)
        guard Self.differs(before, after) else { return }
        if replica.pointee.flags.contains(.inKernel), Self.needsRecreation(before, after) {
            replica.pointee.flags.insert(.recreate)
        }
        markDirty(place)
    }

    /// Takes from an initsync's copy what the live stream has left unsaid since the begin.
    ///
    /// What was said before the begin does not count: events may have been lost since.
    func complete(_ place: UInt32, _ copy: Entry, now: UInt32) {
        let spoken = pool.replicas[Int(place)].spoken
        guard spoken != Replica.everything else { return }
        var whole = copy
        whole.take(spoken, of: entry(at: place))
        merge(place, whole, isWhole: true)
        if !spoken.contains(.timeout) { takeTimeout(place, copy, now: now) }
    }

    func takeTimeout(_ place: UInt32, _ entry: Entry, now: UInt32) {
        guard entry.fields.contains(.timeout) else { return }
        pool.replicas[Int(place)].timeoutSeconds = entry.timeoutSeconds
        pool.replicas[Int(place)].saidAtSeconds = now
    }

    /// Copies the said fields; in a whole entry the unsaid ones are none.
    private func take(_ place: UInt32, _ entry: Entry, isWhole: Bool) {
        let replica = pool.replicas + Int(place)
        replica.pointee.reply = entry.reply
        if entry.fields.contains(.status) {
            replica.pointee.status = UInt16(truncatingIfNeeded: entry.status.rawValue)
        }
        if isWhole || entry.fields.contains(.mark) { replica.pointee.mark = entry.mark }
        if isWhole || entry.fields.contains(.protocolInfo) {
            replica.pointee.protocolInfo = entry.protocolInfo
        }
        var fields = entry.fields
        if isOrphan(place, entry) { fields.remove(.parent) }
        if isWhole {
            if !entry.fields.contains(.parent), replica.pointee.flags.contains(.orphan) {
                replica.pointee.flags.remove(.orphan)
                orphans.remove(place)
            }
            replica.pointee.fields = fields
            pool.dropExtras(place)
        } else {
            replica.pointee.fields.formUnion(fields)
        }
        storeExtras(place, entry)
    }

    /// Whether the kernel's entry was made without this parent, which is not there.
    private func isOrphan(_ place: UInt32, _ entry: Entry) -> Bool {
        let replica = pool.replicas[Int(place)]
        guard entry.fields.contains(.parent), replica.flags.contains(.orphan),
            replica.link != ReplicaPool.noPlace
        else { return false }
        return pool.extras[Int(replica.link)].parent == entry.extras.parent
    }

    func storeExtras(_ place: UInt32, _ entry: Entry) {
        guard !entry.fields.isDisjoint(with: .extras) else { return }
        let link = pool.replicas[Int(place)].link
        var extras = link == ReplicaPool.noPlace ? Extras() : pool.extras[Int(link)]
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

    func settleSufficiency(_ place: UInt32) -> Outcome {
        let replica = pool.replicas + Int(place)
        let isSufficient = entry(at: place).isSufficient
        if isSufficient == replica.pointee.flags.contains(.insufficient) {
            replica.pointee.flags.formSymmetricDifference(.insufficient)
            insufficientCount += isSufficient ? -1 : 1
            if isSufficient { markDirty(place) }
        }
        return isSufficient ? .applied : .insufficient
    }

    /// Status bits that an update can hand on.
    private static let settable: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED]

    static func differs(_ before: Entry, _ after: Entry) -> Bool {
        before.status.intersection(settable) != after.status.intersection(settable)
            || before.mark != after.mark || before.protocolInfo != after.protocolInfo
            || before.reply != after.reply || before.extras != after.extras
    }

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
