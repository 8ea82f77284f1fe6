// SPDX-License-Identifier: GPL-2.0-or-later

/// What two nodes prove to each other that they are there now: 24 bytes, encrypted, in a HELLO.
struct SealHello: Equatable, Sendable, BitwiseCopyable {
    /// Bytes of it.
    static let byteCount = 24
    /// Bytes of the whole datagram, whichever way it goes.
    static let datagramByteCount = SealEnvelope.byteCount + byteCount

    /// The session that it is for: who has another salt keeps silent.
    var receiverSalt: UInt64
    /// A random number that the receiver is to send back; 0 for none.
    var challenge: UInt64
    /// The number that the receiver has sent; 0 for none.
    var answer: UInt64

    /// Writes it behind an envelope.
    func write(_ datagram: inout MutableRawSpan) {
        datagram.setBig(SealEnvelope.byteCount, receiverSalt)
        datagram.setBig(SealEnvelope.byteCount + 8, challenge)
        datagram.setBig(SealEnvelope.byteCount + 16, answer)
    }

    /// Reads it; bytes after it are stepped over.
    static func read(_ datagram: RawSpan) throws(WireError) -> SealHello {
        guard datagram.byteCount >= datagramByteCount else { throw .message }
        return SealHello(
            receiverSalt: datagram.big(SealEnvelope.byteCount),
            challenge: datagram.big(SealEnvelope.byteCount + 8),
            answer: datagram.big(SealEnvelope.byteCount + 16))
    }
}
