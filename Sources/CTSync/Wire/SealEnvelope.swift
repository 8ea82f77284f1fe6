// SPDX-License-Identifier: GPL-2.0-or-later

/// The clear part of a sealed packet: 40 bytes, big-endian, in front of what is encrypted.
///
/// ```
///  0        1        2        3        4                 6
/// +--------+--------+--------+--------+-----------------+-----------------+
/// |version |type    |node id |key id  |length           |zero             |
/// +--------+--------+--------+--------+-----------------+-----------------+ 8
/// |salt: which start of the sender                                        |
/// +-----------------------------------------------------------------------+ 16
/// |counter: 1, 2, 3 ... for every packet of that start                    |
/// +-----------------------------------------------------------------------+ 24
/// |tag over the 24 bytes above and what follows                           |
/// |                                                                       |
/// +-----------------------------------------------------------------------+ 40
/// ```
///
/// What follows is a whole packet as it would be without a key, its checksum 0 (SEALED), or a
/// `SealHello` (HELLO). WIRE.md says what is proved by what.
struct SealEnvelope: Equatable, Sendable, BitwiseCopyable {
    /// Bytes in front of the content.
    static let byteCount = 40
    /// Those that the tag covers besides the content.
    static let authenticatedByteCount = 24
    /// Bytes of a tag.
    static let tagByteCount = 16

    /// What is inside.
    enum Kind: UInt8, Sendable, CaseIterable, BitwiseCopyable {
        /// A packet.
        case SEALED = 5
        /// A challenge, an answer to one, or both.
        case HELLO = 6
    }

    var kind: Kind
    /// The sender.
    var nodeID: UInt8
    /// `SealKey.id` of the key that it seals with.
    var keyID: UInt8
    /// Bytes of the whole datagram.
    var length: UInt16
    /// Random, made at the sender's start; never 0.
    var salt: UInt64
    /// Never twice with a salt, but for a packet that is sent again as it was; never 0.
    var counter: UInt64

    /// Which start of which node a packet comes from.
    var session: SealSessionID { SealSessionID(nodeID: nodeID, salt: salt) }

    /// Whether a datagram is of the sealed kinds; of no use for other than telling it from the others.
    static func isSealed(_ datagram: RawSpan) -> Bool {
        datagram.byteCount >= 2 && Kind(rawValue: datagram.byte(1)) != nil
    }

    /// Writes all but the tag.
    func write(_ datagram: inout MutableRawSpan) {
        datagram.setByte(0, PacketHeader.version)
        datagram.setByte(1, kind.rawValue)
        datagram.setByte(2, nodeID)
        datagram.setByte(3, keyID)
        datagram.setBig(4, length)
        datagram.setBig(6, UInt16(0))
        datagram.setBig(8, salt)
        datagram.setBig(16, counter)
    }

    /// Reads it; nothing of it is proved until the tag is.
    ///
    /// - Throws: the first `WireError` that a ladder of checks finds.
    static func read(_ datagram: RawSpan) throws(WireError) -> SealEnvelope {
        guard datagram.byteCount >= byteCount else { throw .short }
        guard datagram.byte(0) >> 4 == PacketHeader.version >> 4 else { throw .version }
        guard Int(datagram.big(4, as: UInt16.self)) == datagram.byteCount else { throw .length }
        guard let kind = Kind(rawValue: datagram.byte(1)) else { throw .type }
        let envelope = SealEnvelope(
            kind: kind, nodeID: datagram.byte(2), keyID: datagram.byte(3), length: datagram.big(4),
            salt: datagram.big(8), counter: datagram.big(16))
        guard envelope.salt != 0, envelope.counter != 0 else { throw .message }
        return envelope
    }
}

/// One start of one node: what a key of its own and a counter of its own belong to.
struct SealSessionID: Hashable, Sendable, BitwiseCopyable {
    var nodeID: UInt8
    var salt: UInt64
}
