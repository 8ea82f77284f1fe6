// SPDX-License-Identifier: GPL-2.0-or-later

/// Makes packets ready for the link, sealed or with a checksum. For one thread; takes its memory when
/// it is made.
final class LinkSealer {
    /// Bytes of room in front of each packet.
    static let room = SealEnvelope.byteCount

    let seal: LinkSeal
    private let sealer: Sealer
    private let checksum: PacketChecksum

    /// - Throws: `SystemError` with ENOMEM.
    init(_ seal: LinkSeal) throws(SystemError) {
        self.seal = seal
        checksum = seal.checksum
        sealer = try Sealer(seal.session)
    }

    /// What seals a packet that goes there now; nil if none is to.
    func sealer(to peer: PeerAddress?, now: Instant) -> Sealer? {
        seal.isSealing(to: peer, now: now) ? sealer : nil
    }

    /// What seals in any case; there must be a key.
    var always: Sealer { sealer }

    /// Finishes a packet whose checksum is 0.
    ///
    /// - Parameters:
    ///   - memory: `room` bytes, then the packet.
    ///   - sealer: nil for a packet that is not sealed.
    /// - Returns: what is to be sent.
    func finish(
        _ memory: UnsafeMutableRawBufferPointer, _ sealer: Sealer?
    ) -> UnsafeMutableRawBufferPointer {
        if let sealer {
            sealer.seal(memory)
            return memory
        }
        let packet = UnsafeMutableRawBufferPointer(rebasing: memory[Self.room...])
        var bytes = packet.mutableBytes
        checksum.write(&bytes)
        return packet
    }
}
