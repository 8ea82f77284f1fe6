// SPDX-License-Identifier: GPL-2.0-or-later

/// The attributes that few entries have.
///
/// ```
/// CTA_TUPLE_MASTER: see TupleCodec; written at creation only
/// CTA_HELP: written at creation only
/// |- CTA_HELP_NAME: text of up to 15 bytes
/// `- CTA_HELP_INFO: the helper's own
/// CTA_LABELS 16, CTA_LABELS_MASK 16: as the kernel has them in memory; the mask is only written
/// CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY
/// |- CTA_SEQADJ_CORRECTION_POS 4
/// `- CTA_SEQADJ_OFFSET_BEFORE 4, CTA_SEQADJ_OFFSET_AFTER 4: two's complement
/// CTA_SYNPROXY
/// `- CTA_SYNPROXY_ISN 4, CTA_SYNPROXY_ITS 4, CTA_SYNPROXY_TSOFF 4
/// ```
///
/// ctnetlink takes no CTA_SECCTX, CTA_COUNTERS or CTA_TIMESTAMP: they are stepped over.
enum ExtrasCodec {
    /// The most bytes of those that a change may carry.
    static let maximumByteCount =
        2 * Attribute.byteCount(16)  // CTA_LABELS, CTA_LABELS_MASK
        + 2 * (NLA_HDRLEN + 3 * Attribute.byteCount(4))  // CTA_SEQ_ADJ_*
        + NLA_HDRLEN + 3 * Attribute.byteCount(4)  // CTA_SYNPROXY

    /// The most bytes of those that only a creation may carry.
    static let maximumCreationByteCount =
        TupleCodec.maximumByteCount  // CTA_TUPLE_MASTER
        + NLA_HDRLEN + Attribute.byteCount(HelperName.maximumByteCount + 1)  // CTA_HELP

    /// Reads one attribute, or steps over it.
    static func read(
        _ message: RawSpan, _ attribute: Attribute, _ family: Family, into entry: inout Entry
    ) throws(NetlinkError) {
        switch attribute.type {
        case CTA_TUPLE_MASTER:
            _ = try TupleCodec.read(message, attribute, family, into: &entry.extras.parent)
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

    /// Writes those that a change may carry.
    static func write(_ entry: borrowing Entry, to writer: inout NetlinkWriter) {
        let fields = entry.fields
        let extras = entry.extras
        if fields.contains(.labels) { writeLabels(extras, to: &writer) }
        if fields.contains(.sequenceAdjustment) {
            writeAdjustment(CTA_SEQ_ADJ_ORIG, extras.originalAdjustment, to: &writer)
            writeAdjustment(CTA_SEQ_ADJ_REPLY, extras.replyAdjustment, to: &writer)
        }
        if fields.contains(.synproxy) { writeSynproxy(extras, to: &writer) }
    }

    /// Writes those that only a creation may carry.
    static func writeCreationOnly(_ entry: borrowing Entry, to writer: inout NetlinkWriter) {
        let fields = entry.fields
        if fields.contains(.helper), entry.extras.helper.count > 0 {
            writeHelper(entry.extras.helper, to: &writer)
        }
        if fields.contains(.parent) {
            TupleCodec.write(CTA_TUPLE_MASTER, entry.extras.parent, to: &writer)
        }
    }

    // MARK: CTA_HELP

    private static func readHelper(
        _ message: RawSpan, _ nest: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        var offset = nest.start
        while offset < nest.end {
            let attribute = try message.attribute(at: offset, before: nest.end)
            offset = attribute.next
            guard attribute.type == CTA_HELP_NAME else { continue }
            guard let name = HelperName(message.extracting(message.text(attribute))) else {
                throw .wrongSize(attribute.type)
            }
            entry.extras.helper = name
            entry.fields.insert(.helper)
        }
    }

    private static func writeHelper(_ name: HelperName, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_HELP)
        writer.putText(CTA_HELP_NAME, byteCount: name.count) { name[$0] }
        writer.endNest(nest)
    }

    // MARK: CTA_LABELS

    /// The kernel sends all sixteen bytes (XT_CONNLABEL_MAXBIT), or none when all are 0.
    private static func readLabels(
        _ message: RawSpan, _ attribute: Attribute, into entry: inout Entry
    ) throws(NetlinkError) {
        (entry.extras.labelsLow, entry.extras.labelsHigh) = try message.hostOrder(attribute)
        entry.fields.insert(.labels)
    }

    private static func writeLabels(_ extras: Extras, to writer: inout NetlinkWriter) {
        writer.putHostOrder(CTA_LABELS, extras.labelsLow, extras.labelsHigh)
        writer.putHostOrder(CTA_LABELS_MASK, .max, .max)
    }

    // MARK: CTA_SEQ_ADJ_*

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

    private static func writeAdjustment(
        _ type: UInt16, _ adjustment: SequenceAdjustment, to writer: inout NetlinkWriter
    ) {
        let nest = writer.beginNest(type)
        writer.put(CTA_SEQADJ_CORRECTION_POS, adjustment.correctionPosition)
        writer.put(CTA_SEQADJ_OFFSET_BEFORE, adjustment.offsetBefore)
        writer.put(CTA_SEQADJ_OFFSET_AFTER, adjustment.offsetAfter)
        writer.endNest(nest)
    }

    // MARK: CTA_SYNPROXY

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

    private static func writeSynproxy(_ extras: Extras, to writer: inout NetlinkWriter) {
        let nest = writer.beginNest(CTA_SYNPROXY)
        writer.put(CTA_SYNPROXY_ISN, extras.synproxyISN)
        writer.put(CTA_SYNPROXY_ITS, extras.synproxyITS)
        writer.put(CTA_SYNPROXY_TSOFF, extras.synproxyTSOffset)
        writer.endNest(nest)
    }
}
