// SPDX-License-Identifier: GPL-2.0-or-later

/// The begin (UPDATE) or the end (DELETE) of an initsync, a message of 28 bytes; 24 of an earlier version.
///
/// ```
/// | 0 length 2 | 2 kind 1 | 3 flags 1: 0 unproved, 1 sparing | 4 number 4 | 8 basis: epoch 8, sequence 8 |
/// | 24 rules 4 |
/// ```
struct Bracket: Equatable, Sendable, BitwiseCopyable {
    /// The initsync's number, counted up by the master.
    var number: UInt32
    /// What the master is known to hold from before its epoch: it speaks for no more than that.
    var basis = Basis.none
    /// Whether the walk saw the whole table: what it did not name is not there.
    var isProved = true
    /// Whether what it did not name is to be kept all the same: the master's kernel has flushed
    /// connections that may live on at the next master.
    var isSparing = false
    /// Whether it begins nothing: in the midst of a handover it says how late what follows is.
    var isContinuing = false
    /// The fingerprint of the rules by which the walk chose; 0 if it does not say.
    var rules: UInt32 = 0

    /// Bytes on the wire.
    static let byteCount = leastByteCount + 4
    private static let leastByteCount = 8 + Basis.byteCount
    private static let unproved: UInt8 = 1
    private static let sparing: UInt8 = 2
    private static let continuing: UInt8 = 4

    /// Writes it.
    ///
    /// - Returns: the bytes written.
    func write(
        _ type: MessageKind.MessageType, _ packet: inout MutableRawSpan, at offset: Int
    ) -> Int {
        packet.setBig(offset, UInt16(Self.byteCount))
        packet.setByte(offset + 2, MessageKind(.INITSYNC, type).rawValue)
        packet.setByte(
            offset + 3,
            (isProved ? 0 : Self.unproved) | (isSparing ? Self.sparing : 0)
                | (isContinuing ? Self.continuing : 0))
        packet.setBig(offset + 4, number)
        basis.write(&packet, at: offset + 8)
        packet.setBig(offset + Self.leastByteCount, rules)
        return Self.byteCount
    }

    /// Reads the one at an offset; the caller has checked that the packet holds so many bytes.
    ///
    /// - Throws: `WireError.message` if it is shorter.
    static func read(
        _ packet: RawSpan, at offset: Int, byteCount length: Int
    ) throws(WireError) -> Bracket {
        guard length >= leastByteCount else { throw .message }
        return Bracket(
            number: packet.big(offset + 4), basis: Basis.read(packet, at: offset + 8),
            isProved: packet.byte(offset + 3) & unproved == 0,
            isSparing: packet.byte(offset + 3) & sparing != 0,
            isContinuing: packet.byte(offset + 3) & continuing != 0,
            rules: length >= byteCount ? packet.big(offset + leastByteCount) : 0)
    }
}
