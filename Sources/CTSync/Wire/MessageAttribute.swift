// SPDX-License-Identifier: GPL-2.0-or-later

/// The attributes after a message's key, and how many bytes the value of each has.
///
/// ```
///  0      1       2
/// +------+-------+------------------------
/// |type  |length |value: `length` bytes
/// +------+-------+------------------------
/// ```
///
/// | type                   | bytes    | of            | drawn in             |
/// |------------------------|----------|---------------|----------------------|
/// | status (1)             | 2        | CONNTRACK     | `EntryMessage`       |
/// | timeout (2)            | 4        | both          | `EntryMessage`       |
/// | mark (3)               | 4        | CONNTRACK     | `EntryMessage`       |
/// | tcp (4)                | 4        | CONNTRACK     | `ProtocolInfoPart`   |
/// | sctp (5)               | 9        | CONNTRACK     | `ProtocolInfoPart`   |
/// | reply (6)              | 12 or 36 | CONNTRACK     | `TuplePart`          |
/// | parent (7)             | 13 or 37 | both          | `ExtrasPart`         |
/// | helper (8)             | 0 to 15  | both          | `ExtrasPart`         |
/// | labels (9)             | 16       | CONNTRACK     | `ExtrasPart`         |
/// | sequenceAdjustment (10)| 24       | CONNTRACK     | `ExtrasPart`         |
/// | synproxy (11)          | 12       | CONNTRACK     | `ExtrasPart`         |
/// | mask (12)              | 12 or 36 | EXPECT        | `TuplePart`          |
/// | expectPolicy (13)      | 8        | EXPECT        | `ExpectationMessage` |
/// | expectTranslation (14) | 14 or 38 | EXPECT        | `ExpectationMessage` |
/// | expectFunction (15)    | 1 to 30  | EXPECT        | `ExpectationMessage` |
enum AttributeType: UInt8 {
    /// The low 16 bits of CTA_STATUS
    case status = 1
    /// CTA_TIMEOUT, in seconds
    case timeout = 2
    /// CTA_MARK; absent in a whole entry means 0
    case mark = 3
    /// CTA_PROTOINFO_TCP
    case tcp = 4
    /// CTA_PROTOINFO_SCTP
    case sctp = 5
    /// The reply tuple where it is not the inverse
    case reply = 6
    /// CTA_TUPLE_MASTER, the original tuple of its parent
    case parent = 7
    /// The helper's name without its padding
    case helper = 8
    /// CTA_LABELS
    case labels = 9
    /// CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY
    case sequenceAdjustment = 10
    /// CTA_SYNPROXY
    case synproxy = 11
    /// EXPECT: CTA_EXPECT_MASK
    case mask = 12
    /// EXPECT: CTA_EXPECT_FLAGS, CTA_EXPECT_CLASS
    case expectPolicy = 13
    /// EXPECT: CTA_EXPECT_NAT
    case expectTranslation = 14
    /// EXPECT: CTA_EXPECT_FN
    case expectFunction = 15

    /// Bytes of type and length.
    static let headerByteCount = 1 + 1

    /// Bytes of the value in a message of a family; of a name the most. Writers and readers both take
    /// the length from here.
    @inline(__always)
    func byteCount(_ family: Family) -> Int {
        switch self {
        case .status: 2
        case .timeout, .mark: 4
        case .tcp: 1 + 1 + 1 + 1  // state, flags of both directions, scales
        case .sctp: 1 + 4 + 4  // state, tags of both directions
        case .reply, .mask: TuplePart.byteCount(family)
        case .parent: 1 + TuplePart.byteCount(family)  // protocol, tuple
        case .helper: HelperName.maximumByteCount
        case .labels: 16
        case .sequenceAdjustment: 2 * (4 + 4 + 4)  // of each direction position, before, after
        case .synproxy: 4 + 4 + 4  // ISN, ITS, offset
        case .expectPolicy: 4 + 4  // flags, class
        case .expectTranslation: 1 + 1 + TuplePart.byteCount(family)  // direction, protocol, tuple
        case .expectFunction: ExpectFunctionName.maximumByteCount
        }
    }

    /// Bytes of the whole attribute in a message of a family; of a name the most.
    @inline(__always)
    func wholeByteCount(_ family: Family) -> Int {
        Self.headerByteCount + byteCount(family)
    }
}

/// Where one attribute stands in a packet; its bounds have been checked.
struct MessageAttribute: BitwiseCopyable {
    /// Its type; nil for one of a later minor version, to be stepped over.
    let type: AttributeType?
    /// The offset of its value.
    let start: Int
    /// The offset behind its value.
    let end: Int

    /// Checks that the value has as many bytes as its type has in a message of a family.
    @inline(__always)
    func require(_ type: AttributeType, _ family: Family) throws(WireError) {
        guard end &- start == type.byteCount(family) else { throw .message }
    }
}

extension RawSpan {
    /// The attribute at an offset, all of it before `end`.
    @inline(__always)
    func messageAttribute(at offset: Int, before end: Int) throws(WireError) -> MessageAttribute {
        let start = offset + AttributeType.headerByteCount
        guard start <= end else { throw .message }
        let attribute = MessageAttribute(
            type: AttributeType(rawValue: byte(offset)), start: start,
            end: start + Int(byte(offset + 1)))
        guard attribute.end <= end else { throw .message }
        return attribute
    }
}

extension MutableRawSpan {
    /// Writes type and length of an attribute, whose value the caller writes.
    ///
    /// - Parameters:
    ///   - family: the message's.
    ///   - end: the message's end so far; moved behind the attribute.
    /// - Returns: the offset of the value.
    @inline(__always)
    mutating func beginAttribute(
        _ type: AttributeType, _ family: Family, _ end: inout Int
    ) -> Int {
        beginAttribute(type, byteCount: type.byteCount(family), &end)
    }

    /// The same for a name, of this many bytes.
    @inline(__always)
    mutating func beginAttribute(
        _ type: AttributeType, byteCount: Int, _ end: inout Int
    ) -> Int {
        setByte(end, type.rawValue)
        setByte(end + 1, UInt8(byteCount))
        let start = end + AttributeType.headerByteCount
        end = start + byteCount
        return start
    }
}
