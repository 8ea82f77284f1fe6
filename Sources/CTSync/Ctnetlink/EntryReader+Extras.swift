// SPDX-License-Identifier: GPL-2.0-or-later

extension EntryReader {
    /// Reads what few entries have; steps over what nobody here knows, and over what cannot be given to
    /// another kernel: ctnetlink takes no CTA_SECCTX, CTA_COUNTERS or CTA_TIMESTAMP.
    static func readExtra(
        _ message: RawSpan, _ attribute: Attribute, _ family: Family, into entry: inout Entry
    ) throws(NetlinkError) {
        switch attribute.type {
        case CTA_TUPLE_MASTER:
            _ = try readTuple(message, attribute, family, into: &entry.extras.parent)
            entry.fields.insert(.parent)
        case CTA_HELP:
            try readHelper(message, attribute, into: &entry)
        case CTA_LABELS:
            try readLabels(message, attribute, into: &entry)
        case CTA_SEQ_ADJ_ORIG:
            if try readAdjustment(message, attribute, into: &entry.extras.originalAdjustment) {
                entry.fields.insert(.sequenceAdjustment)
            }
        case CTA_SEQ_ADJ_REPLY:
            if try readAdjustment(message, attribute, into: &entry.extras.replyAdjustment) {
                entry.fields.insert(.sequenceAdjustment)
            }
        case CTA_SYNPROXY:
            try readSynproxy(message, attribute, into: &entry)
        default: break
        }
    }

    /// CTA_HELP_NAME with or without its final zero byte; CTA_HELP_INFO is the helper's own.
    private static func readHelper(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            guard attribute.type == CTA_HELP_NAME else { continue }
            var end = attribute.start
            while end < attribute.end,
                message.unsafeLoad(fromByteOffset: end, as: UInt8.self) != 0
            {
                end += 1
            }
            guard let name = HelperName(message.extracting(attribute.start..<end)) else {
                throw .wrongSize(attribute.type)
            }
            entry.extras.helper = name
            entry.fields.insert(.helper)
        }
    }

    /// The kernel sends all sixteen bytes of labels (XT_CONNLABEL_MAXBIT), or none when all are 0.
    private static func readLabels(
        _ message: RawSpan, _ attribute: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        guard attribute.end - attribute.start == 16 else { throw .wrongSize(attribute.type) }
        entry.extras.labelsLow = message.hostUInt64(at: attribute.start)
        entry.extras.labelsHigh = message.hostUInt64(at: attribute.start + 8)
        entry.fields.insert(.labels)
    }

    /// Whether anything was said.
    private static func readAdjustment(
        _ message: RawSpan, _ nest: Attribute, into adjustment: inout SequenceAdjustment
    ) throws(NetlinkError) -> Bool {
        var isSaid = false
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_SEQADJ_CORRECTION_POS:
                isSaid = true
                adjustment.correctionPosition = try message.uint32(attribute)
            case CTA_SEQADJ_OFFSET_BEFORE:
                adjustment.offsetBefore = try message.uint32(attribute)
            case CTA_SEQADJ_OFFSET_AFTER:
                adjustment.offsetAfter = try message.uint32(attribute)
            default: break
            }
        }
        return isSaid
    }

    /// All zero is as good as none: the kernel gives that with every entry that was injected.
    private static func readSynproxy(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            switch attribute.type {
            case CTA_SYNPROXY_ISN: entry.extras.synproxyISN = try message.uint32(attribute)
            case CTA_SYNPROXY_ITS: entry.extras.synproxyITS = try message.uint32(attribute)
            case CTA_SYNPROXY_TSOFF:
                entry.extras.synproxyTSOffset = try message.uint32(attribute)
            default: break
            }
        }
        let extras = entry.extras
        if extras.synproxyISN | extras.synproxyITS | extras.synproxyTSOffset != 0 {
            entry.fields.insert(.synproxy)
        }
    }
}
