// SPDX-License-Identifier: GPL-2.0-or-later

/// The whole check of a packet, before anything follows from it: WIRE.md's order up to `message`.
extension PacketHeader {
    /// Reads a packet's header and checks it and all that comes after it.
    ///
    /// - Parameters:
    ///   - checksum: nil for a packet that was sealed.
    ///   - wallMicroseconds: the wall clock, for what an epoch can be.
    ///   - foreign: what was heard of other clusters.
    ///   - scratch: overwritten.
    /// - Throws: the first `WireError` that is found.
    static func readWhole(
        _ packet: RawSpan, _ checksum: PacketChecksum?, wallMicroseconds: UInt64,
        foreign: inout ForeignCluster, scratch: inout Message
    ) throws(WireError) -> PacketHeader {
        let header: PacketHeader
        do throws(WireError) {
            header = try read(packet, checksum)
        } catch {
            guard error == .checksum, let checksum else { throw error }
            throw foreign.error(for: packet, checksum)
        }
        switch header.type {
        case .SYNC:
            try MessageReader.validate(packet, count: header.messageCount, scratch: &scratch)
        case .NACK:
            guard header.messageCount <= SequenceRange.maximumCount else { throw .message }
            for index in 0..<Int(header.messageCount) {
                _ = try SequenceRange.read(packet, index: index)
            }
            _ = try SlaveReport.read(packet, after: Int(header.messageCount))
        case .SLAVE_INITSYNC:
            _ = try SlaveReport.read(packet, after: Int(header.messageCount))
        case .MASTER_ANNOUNCE:
            _ = try Announcement.read(packet)
        }
        if header.type == .SYNC || header.type == .MASTER_ANNOUNCE {
            let claim = MasterClaim(epoch: header.epoch, nodeID: header.nodeID)
            guard claim.isPlausible(wallMicroseconds: wallMicroseconds) else { throw .message }
        }
        return header
    }
}
