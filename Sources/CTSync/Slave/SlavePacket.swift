// SPDX-License-Identifier: GPL-2.0-or-later

/// The packets that a slave writes: header, ranges that are missing, report, and in some its traits.
struct SlavePacket {
    let nodeID: UInt8
    /// Nil if it is written afterwards, with the seal.
    let checksum: PacketChecksum?

    /// What one says of the stream.
    struct Content {
        var type: PacketHeader.PacketType
        /// The epoch that is followed; 0 of a slave that hears no master.
        var epoch: UInt64
        /// The sequence number whose turn it is.
        var expected: UInt64
        /// Ranges that stand in the packet already, after the header's room.
        var rangeCount = 0
        var report = SlaveReport()
        var traits: Traits?
    }

    /// Writes one.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length in bytes.
    func write(
        _ content: Content, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> Int {
        var header = PacketHeader(
            type: content.type, nodeID: nodeID, epoch: content.epoch, sequence: content.expected)
        let place = PacketHeader.byteCount + content.rangeCount * SequenceRange.byteCount
        let end = place + SlaveReport.byteCount
        let length = end + (content.traits == nil ? 0 : Traits.byteCount)
        header.length = UInt16(length)
        header.messageCount = UInt16(content.rangeCount)
        header.clockMicroseconds = wallMicroseconds
        var bytes = UnsafeMutableRawBufferPointer(rebasing: target[..<length]).mutableBytes
        content.report.write(&bytes, at: place)
        content.traits?.write(&bytes, at: end)
        header.seal(&bytes, checksum)
        return length
    }
}
