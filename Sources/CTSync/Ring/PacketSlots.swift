// SPDX-License-Identifier: GPL-2.0-or-later

/// The memory of the send ring: packet n stands in slot n modulo the number of slots, with the room of
/// an envelope in front.
///
/// It is the ring that says which thread may touch a slot when.
struct PacketSlots: ~Copyable {
    /// What is kept of a closed packet.
    struct Content: BitwiseCopyable {
        /// Bytes of the packet, its header included.
        var length: UInt16 = 0
        var messageCount: UInt16 = 0
        var flags = PacketHeader.Flags()
        /// Whether the packet that was sent from here last has its envelope.
        var isSealed = false
    }

    /// Bytes in front of each packet, for its envelope.
    static let room = SealEnvelope.byteCount

    /// Slots, a power of two.
    let count: Int
    /// The most bytes of a packet.
    let byteCount: Int
    private let memory: MappedMemory
    private let contents: UnsafeMutablePointer<Content>

    /// Takes the memory.
    ///
    /// - Parameters:
    ///   - count: a power of two, at least 4.
    ///   - byteCount: at most 65,535.
    /// - Throws: `SystemError` of mmap(2).
    init(count: Int, byteCount: Int) throws(SystemError) {
        precondition(count >= 4 && count & (count - 1) == 0)
        precondition(byteCount <= Int(UInt16.max))
        self.count = count
        self.byteCount = byteCount
        memory = try MappedMemory(
            byteCount: count * (Self.room + byteCount), inHugePages: true)
        contents = .allocate(capacity: count)
        contents.initialize(repeating: Content(), count: count)
    }

    deinit { contents.deallocate() }

    /// The place of a packet: all bytes that it may have.
    @inline(__always)
    func packet(_ sequence: UInt64) -> UnsafeMutableRawBufferPointer {
        let place = memory.base + index(sequence) * (Self.room + byteCount)
        return UnsafeMutableRawBufferPointer(start: place + Self.room, count: byteCount)
    }

    /// A packet of so many bytes with the envelope's room in front.
    @inline(__always)
    func datagram(_ sequence: UInt64, length: Int) -> UnsafeMutableRawBufferPointer {
        let place = memory.base + index(sequence) * (Self.room + byteCount)
        return UnsafeMutableRawBufferPointer(start: place, count: Self.room + length)
    }

    /// What is kept of a packet.
    @inline(__always)
    func content(_ sequence: UInt64) -> Content { contents[index(sequence)] }

    /// A packet is closed; how the one before it was sent stays until it is sent itself.
    @inline(__always)
    func close(
        _ sequence: UInt64, length: Int, messageCount: UInt16, flags: PacketHeader.Flags
    ) {
        let place = contents + index(sequence)
        place.pointee.length = UInt16(length)
        place.pointee.messageCount = messageCount
        place.pointee.flags = flags
    }

    /// A packet is finished, with an envelope or without.
    @inline(__always)
    func finish(_ sequence: UInt64, isSealed: Bool) {
        contents[index(sequence)].isSealed = isSealed
    }

    /// A packet as it was sent.
    func sent(_ sequence: UInt64) -> UnsafeRawBufferPointer {
        let content = content(sequence)
        let datagram = datagram(sequence, length: Int(content.length))
        guard !content.isSealed else { return UnsafeRawBufferPointer(datagram) }
        return UnsafeRawBufferPointer(rebasing: datagram[Self.room...])
    }

    @inline(__always)
    private func index(_ sequence: UInt64) -> Int {
        Int(truncatingIfNeeded: sequence) & (count - 1)
    }
}
