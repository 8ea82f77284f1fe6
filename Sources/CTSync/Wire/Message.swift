// SPDX-License-Identifier: GPL-2.0-or-later

/// What a message is about, and how it is to be taken: one byte on the wire.
///
/// ```
///   7   6   5   4   3     2     1    0
/// +-------+-------+-----+-----+----+---------+
/// |resource| type | IPv6| zone| new| initsync|
/// +-------+-------+-----+-----+----+---------+
/// ```
struct MessageKind: Equatable, Sendable, BitwiseCopyable {
    /// The byte on the wire.
    var rawValue: UInt8

    /// A kind from its byte.
    @inline(__always)
    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A kind by resource and type, with no further bits.
    @inline(__always)
    init(_ resource: Resource, _ type: MessageType) {
        rawValue = resource.rawValue << 6 | type.rawValue << 4
    }

    /// What a message is about.
    enum Resource: UInt8, Sendable {
        /// An entry of the connection-tracking table.
        case CONNTRACK = 0
        /// An expectation.
        case EXPECT = 1
        /// The brackets of an initsync: UPDATE begins it, DELETE ends it.
        case INITSYNC = 2
    }

    /// What has happened to it.
    enum MessageType: UInt8, Sendable {
        /// It was made or has changed.
        case UPDATE = 0
        /// It is gone.
        case DELETE = 1
    }

    /// What it is about; nil for a resource of a later minor version, to be stepped over.
    @inline(__always)
    var resource: Resource? { Resource(rawValue: rawValue >> 6) }
    /// What has happened; nil for a type of a later minor version.
    @inline(__always)
    var type: MessageType? { MessageType(rawValue: rawValue >> 4 & 3) }

    /// Addresses of 16 bytes instead of 4.
    static let ipv6: UInt8 = 1 << 3
    /// A zone follows the ports.
    static let zone: UInt8 = 1 << 2
    /// Set in an UPDATE that says all there is of a connection just made.
    static let new: UInt8 = 1 << 1
    /// Set in an UPDATE that an initsync read from the table.
    static let initsync: UInt8 = 1 << 0

    /// Whether a bit is set.
    @inline(__always)
    func has(_ bit: UInt8) -> Bool { rawValue & bit != 0 }
}

/// One message as read from a packet; used again for the next.
struct Message: Sendable {
    /// What it is about.
    var kind = MessageKind(.CONNTRACK, .UPDATE)
    /// The entry of a CONNTRACK message.
    var entry = Entry(Key(.none))
    /// The expectation of an EXPECT message; of a DELETE its key and mask.
    var expectation = Expectation(Key(.none))
    /// An INITSYNC bracket.
    var bracket = Bracket(number: 0)

    /// An empty message.
    init() {}
}

/// The attributes behind a message's key: type, length of the value, value.
enum AttributeType: UInt8 {
    /// The low 16 bits of CTA_STATUS
    case status = 1
    /// CTA_TIMEOUT, seconds, 4 bytes
    case timeout = 2
    /// CTA_MARK, 4 bytes; absent in a whole entry means 0
    case mark = 3
    /// TCP state, original flags, reply flags, scales: 4 bytes
    case tcp = 4
    /// SCTP state, original tag, reply tag: 1 + 4 + 4 bytes
    case sctp = 5
    /// The reply tuple where it is not the inverse: addresses, ports
    case reply = 6
    /// CTA_TUPLE_MASTER, the original tuple of its parent: protocol, addresses, ports
    case parent = 7
    /// The helper's name without its padding
    case helper = 8
    /// 16 bytes as the kernel has them
    case labels = 9
    /// Both directions' correction position, offset before, offset after: 24 bytes
    case sequenceAdjustment = 10
    /// ISN, ITS, timestamp offset: 12 bytes
    case synproxy = 11
    /// EXPECT: the mask, as addresses and ports
    case mask = 12
    /// EXPECT: flags, class: 4 + 4 bytes
    case expectPolicy = 13
    /// EXPECT: the translation's direction, protocol, addresses, ports: 1 + 1 + 12 or 36 bytes
    case expectTranslation = 14
    /// EXPECT: the function's name
    case expectFunction = 15
}
