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
    /// Set in an UPDATE that says all there is of a connection just made, or of one that the rules may have
    /// begun to accept while a walk runs.
    static let new: UInt8 = 1 << 1
    /// The same bit in what an earlier version hands over: the donor has heard it last.
    static let heard = new
    /// Set in an UPDATE that an initsync read from the table.
    static let initsync: UInt8 = 1 << 0

    /// Whether a bit is set.
    @inline(__always)
    func has(_ bit: UInt8) -> Bool { rawValue & bit != 0 }
}

/// One message as read from a packet; used again for the next.
///
/// ```
///  0             2      3        4
/// +-------------+------+--------+----------------------------------------
/// |length       |kind  |protocol|by resource: see the files of each
/// +-------------+------+--------+----------------------------------------
/// ```
///
/// `EntryMessage` has CONNTRACK, `ExpectationMessage` EXPECT, `Bracket` INITSYNC.
struct Message: Sendable {
    /// Bytes of the part that every message has: length, kind, protocol.
    static let headerByteCount = 2 + 1 + 1
    /// The most bytes of one message.
    @inline(__always)
    static var maximumByteCount: Int {
        max(EntryMessage.maximumByteCount, ExpectationMessage.maximumByteCount)
    }

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
