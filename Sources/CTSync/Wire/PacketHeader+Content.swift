// SPDX-License-Identifier: GPL-2.0-or-later

/// The whole check of a packet, before anything follows from it: WIRE.md's order up to `message`.
extension PacketHeader {
    /// Reads a packet's header and checks it and all that comes after it.
    ///
    /// - Parameters:
    ///   - wallMicroseconds: the wall clock, for what an epoch can be.
    ///   - scratch: overwritten.
    /// - Throws: the first `WireError` that is found.
    static func readWhole(
        _ packet: RawSpan, _ crc: CRC32C, wallMicroseconds: UInt64, scratch: inout Message
    ) throws(WireError) -> PacketHeader {
        let header = try read(packet, crc)
        switch header.type {
        case .SYNC:
            try MessageReader.validate(packet, count: header.messageCount, scratch: &scratch)
        case .NACK:
            for index in 0..<Int(header.messageCount) {
                _ = try SequenceRange.read(packet, index: index)
            }
        case .MASTER_ANNOUNCE, .SLAVE_INITSYNC:
            break
        }
        if header.type == .SYNC || header.type == .MASTER_ANNOUNCE {
            let claim = MasterClaim(epoch: header.epoch, nodeID: header.nodeID)
            guard claim.isPlausible(wallMicroseconds: wallMicroseconds) else { throw .message }
        }
        return header
    }
}
