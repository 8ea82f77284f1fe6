// SPDX-License-Identifier: GPL-2.0-or-later

/// What few entries have: related connections, helpers, labels, adjusted sequence numbers.
package struct Extras: Equatable, Sendable, BitwiseCopyable {
    /// The original tuple of the connection that expected this one (CTA_TUPLE_MASTER); it is in the
    /// same zone.
    package var parent = Tuple.none
    /// CTA_HELP_NAME, zero-padded.
    package var helper = HelperName()
    /// CTA_LABELS, the first eight bytes as the kernel has them (host order) ...
    package var labelsLow: UInt64 = 0
    /// ... and the last eight.
    package var labelsHigh: UInt64 = 0
    /// CTA_SEQ_ADJ_ORIG
    package var originalAdjustment = SequenceAdjustment()
    /// CTA_SEQ_ADJ_REPLY
    package var replyAdjustment = SequenceAdjustment()
    /// CTA_SYNPROXY_ISN
    package var synproxyISN: UInt32 = 0
    /// CTA_SYNPROXY_ITS
    package var synproxyITS: UInt32 = 0
    /// CTA_SYNPROXY_TSOFF
    package var synproxyTSOffset: UInt32 = 0

    /// None of it.
    @inline(__always)
    init() {}
}

/// How one direction's TCP sequence numbers are shifted; `struct nf_ct_seqadj`.
package struct SequenceAdjustment: Equatable, Sendable, BitwiseCopyable {
    /// CTA_SEQADJ_CORRECTION_POS
    package var correctionPosition: UInt32 = 0
    /// CTA_SEQADJ_OFFSET_BEFORE, two's complement
    package var offsetBefore: UInt32 = 0
    /// CTA_SEQADJ_OFFSET_AFTER, two's complement
    package var offsetAfter: UInt32 = 0

    /// No shift.
    @inline(__always)
    init() {}
}

/// The name of a connection-tracking helper: at most 15 bytes (NF_CT_HELPER_NAME_LEN is 16).
package struct HelperName: Equatable, Sendable, BitwiseCopyable {
    /// Bytes 0 to 7, the first in the lowest byte.
    var low: UInt64 = 0
    /// Bytes 8 to 15.
    var high: UInt64 = 0

    /// The most bytes.
    static let maximumByteCount = 15

    /// No helper.
    @inline(__always)
    init() {}

    /// A name from its bytes; nil if it is longer than 15 of them.
    @inline(__always)
    init?(_ bytes: RawSpan) {
        guard bytes.byteCount <= Self.maximumByteCount else { return nil }
        for index in 0..<bytes.byteCount {
            let byte = UInt64(bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self))
            if index < 8 { low |= byte << (8 * UInt64(index)) }
            if index >= 8 { high |= byte << (8 * UInt64(index - 8)) }
        }
    }

    /// The byte at a place from 0 to 15; 0 past the name's end.
    @inline(__always)
    subscript(index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: index < 8 ? low >> (8 * index) : high >> (8 * (index - 8)))
    }

    /// How many bytes it has.
    @inline(__always)
    var count: Int {
        let bits = high == 0 ? 64 - low.leadingZeroBitCount : 128 - high.leadingZeroBitCount
        return (bits + 7) / 8
    }
}

extension HelperName: CustomStringConvertible {
    /// The name; bytes that a status line could not show as dots.
    package var description: String {
        var text = ""
        for index in 0..<count {
            let byte = self[index]
            text.unicodeScalars.append(byte > 0x20 && byte < 0x7F ? Unicode.Scalar(byte) : ".")
        }
        return text
    }
}
