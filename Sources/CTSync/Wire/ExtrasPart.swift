// SPDX-License-Identifier: GPL-2.0-or-later

/// The attributes that few entries have.
///
/// ```
///                     0         1                                       13/37
///                    +---------+---------------------------------------+
///  parent            |protocol |tuple                                  |
///                    +---------+---------------------------------------+
///                     0                                                 0 to 15
///                    +-------------------------------------------------+
///  helper            |name, without padding                            |
///                    +-------------------------------------------------+
///                     0                                                 16
///                    +-------------------------------------------------+
///  labels            |as a little-endian kernel has them in memory     |
///                    +-------------------------------------------------+
///                     0          4              8             12        24
///                    +----------+--------------+-------------+---------+
///  sequenceAdjustment|position  |offset before |offset after |the reply|
///                    | of the original direction             | one's   |
///                    +----------+--------------+-------------+---------+
///                     0               4               8                 12
///                    +---------------+---------------+-----------------+
///  synproxy          |ISN            |ITS            |timestamp offset |
///                    +---------------+---------------+-----------------+
/// ```
enum ExtrasPart {
    /// The most bytes of all of them: with a parent of IPv6.
    @inline(__always)
    static var maximumByteCount: Int {
        AttributeType.parent.wholeByteCount(.ipv6)
            + AttributeType.helper.wholeByteCount(.ipv6)
            + AttributeType.labels.wholeByteCount(.ipv6)
            + AttributeType.sequenceAdjustment.wholeByteCount(.ipv6)
            + AttributeType.synproxy.wholeByteCount(.ipv6)
    }

    /// Bytes of those that an entry has.
    static func byteCount(_ entry: borrowing Entry) -> Int {
        let fields = entry.fields
        let family = entry.key.tuple.family
        var count = 0
        if fields.contains(.parent) {
            count += AttributeType.parent.wholeByteCount(entry.extras.parent.family)
        }
        if fields.contains(.helper) { count += helperByteCount(entry.extras.helper) }
        if fields.contains(.labels) { count += AttributeType.labels.wholeByteCount(family) }
        if fields.contains(.sequenceAdjustment) {
            count += AttributeType.sequenceAdjustment.wholeByteCount(family)
        }
        if fields.contains(.synproxy) { count += AttributeType.synproxy.wholeByteCount(family) }
        return count
    }

    /// Writes those that an entry has.
    static func write(
        _ entry: borrowing Entry, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let fields = entry.fields
        let extras = entry.extras
        if fields.contains(.parent) { writeParent(extras.parent, &packet, &end) }
        if fields.contains(.helper) { writeHelper(extras.helper, &packet, &end) }
        if fields.contains(.labels) {
            let place = packet.beginAttribute(.labels, entry.key.tuple.family, &end)
            packet.setBig(place, extras.labelsLow.byteSwapped)
            packet.setBig(place + 8, extras.labelsHigh.byteSwapped)
        }
        if fields.contains(.sequenceAdjustment) {
            let place = packet.beginAttribute(.sequenceAdjustment, entry.key.tuple.family, &end)
            write(extras.originalAdjustment, &packet, at: place)
            write(extras.replyAdjustment, &packet, at: place + 12)
        }
        if fields.contains(.synproxy) {
            let place = packet.beginAttribute(.synproxy, entry.key.tuple.family, &end)
            packet.setBig(place, extras.synproxyISN)
            packet.setBig(place + 4, extras.synproxyITS)
            packet.setBig(place + 8, extras.synproxyTSOffset)
        }
    }

    /// Reads one of them.
    static func read(
        _ packet: RawSpan, _ type: AttributeType, _ attribute: MessageAttribute,
        _ entry: inout Entry
    ) throws(WireError) {
        let family = entry.key.tuple.family
        let place = attribute.start
        switch type {
        case .parent:
            entry.extras.parent = try readParent(packet, attribute)
            entry.fields.insert(.parent)
        case .helper:
            entry.extras.helper = try readHelper(packet, attribute)
            entry.fields.insert(.helper)
        case .labels:
            try attribute.require(.labels, family)
            entry.extras.labelsLow = packet.big(place, as: UInt64.self).byteSwapped
            entry.extras.labelsHigh = packet.big(place + 8, as: UInt64.self).byteSwapped
            entry.fields.insert(.labels)
        case .sequenceAdjustment:
            try attribute.require(.sequenceAdjustment, family)
            entry.extras.originalAdjustment = readAdjustment(packet, at: place)
            entry.extras.replyAdjustment = readAdjustment(packet, at: place + 12)
            entry.fields.insert(.sequenceAdjustment)
        case .synproxy:
            try attribute.require(.synproxy, family)
            entry.extras.synproxyISN = packet.big(place)
            entry.extras.synproxyITS = packet.big(place + 4)
            entry.extras.synproxyTSOffset = packet.big(place + 8)
            entry.fields.insert(.synproxy)
        default:
            return
        }
    }

    // MARK: Parent

    /// Writes a parent's attribute; its length tells its family.
    static func writeParent(
        _ parent: borrowing Tuple, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let place = packet.beginAttribute(.parent, parent.family, &end)
        packet.setByte(place, parent.protocolNumber)
        TuplePart.write(parent, &packet, at: place + 1)
    }

    /// Reads a parent of either family.
    static func readParent(
        _ packet: RawSpan, _ attribute: MessageAttribute
    ) throws(WireError) -> Tuple {
        let length = attribute.end - attribute.start
        let family: Family = length == AttributeType.parent.byteCount(.ipv4) ? .ipv4 : .ipv6
        try attribute.require(.parent, family)
        return TuplePart.read(
            packet, at: attribute.start + 1, family, packet.byte(attribute.start))
    }

    // MARK: Helper

    /// Bytes of the attribute with a helper's name.
    @inline(__always)
    static func helperByteCount(_ name: HelperName) -> Int {
        AttributeType.headerByteCount + name.count
    }

    /// Writes a helper's name.
    static func writeHelper(
        _ name: HelperName, _ packet: inout MutableRawSpan, _ end: inout Int
    ) {
        let count = name.count
        let place = packet.beginAttribute(.helper, byteCount: count, &end)
        for index in 0..<count { packet.setByte(place + index, name[index]) }
    }

    /// Reads a helper's name.
    static func readHelper(
        _ packet: RawSpan, _ attribute: MessageAttribute
    ) throws(WireError) -> HelperName {
        guard let name = HelperName(packet.extracting(attribute.start..<attribute.end)) else {
            throw .message
        }
        return name
    }

    // MARK: Sequence adjustment

    private static func write(
        _ adjustment: SequenceAdjustment, _ packet: inout MutableRawSpan, at offset: Int
    ) {
        packet.setBig(offset, adjustment.correctionPosition)
        packet.setBig(offset + 4, adjustment.offsetBefore)
        packet.setBig(offset + 8, adjustment.offsetAfter)
    }

    private static func readAdjustment(
        _ packet: RawSpan, at offset: Int
    ) -> SequenceAdjustment {
        var adjustment = SequenceAdjustment()
        adjustment.correctionPosition = packet.big(offset)
        adjustment.offsetBefore = packet.big(offset + 4)
        adjustment.offsetAfter = packet.big(offset + 8)
        return adjustment
    }
}
