// SPDX-License-Identifier: GPL-2.0-or-later

/// The fixed part at the start of every packet: 44 bytes, big-endian.
///
/// ```
///  0        1        2        3        4                 6
/// +--------+--------+--------+--------+-----------------+-----------------+
/// |version |type    |node id |flags   |length           |messages         |
/// +--------+--------+--------+--------+-----------------+-----------------+ 8
/// |epoch                                                                  |
/// +-----------------------------------------------------------------------+ 16
/// |sequence                                                               |
/// +-----------------------------------------------------------------------+ 24
/// |oldest sequence still in the backlog                                   |
/// +-----------------------------------------------------------------------+ 32
/// |clock: microseconds since 1970                                         |
/// +-----------------------------------+-----------------------------------+ 40
/// |checksum of the packet             |
/// +-----------------------------------+ 44
/// ```
///
/// What follows depends on the type: messages in SYNC, ranges of 12 bytes in NACK, nothing in the
/// others. A reader steps over bytes behind the part it knows.
struct PacketHeader: Equatable, Sendable, BitwiseCopyable {
    /// Bytes of a header.
    static let byteCount = 44

    /// Where its parts begin, for the writer and the reader.
    private enum Place {
        static let version = 0
        static let type = 1
        static let nodeID = 2
        static let flags = 3
        static let length = 4
        static let count = 6
        static let epoch = 8
        static let sequence = 16
        static let oldest = 24
        static let clock = 32
        static let checksum = PacketChecksum.place
    }

    /// The version in the first byte: major in the high nibble, minor in the low.
    static let version: UInt8 = 0x10

    /// What a packet is for.
    enum PacketType: UInt8, Sendable, CaseIterable, BitwiseCopyable {
        /// The master is there; `sequence` is the last it has sent. An `Announcement` follows.
        case MASTER_ANNOUNCE = 1
        /// A slave wants an initsync; `sequence` is the next that it expects. A
        /// `SlaveReport` follows.
        case SLAVE_INITSYNC = 2
        /// Messages; `sequence` is the packet's own.
        case SYNC = 3
        /// A slave has all below `sequence` and misses the ranges in the content, if any; a
        /// `SlaveReport` follows these.
        case NACK = 4
    }

    /// Bits that hold for the whole packet.
    struct Flags: OptionSet, Sendable, BitwiseCopyable {
        /// The flags byte.
        let rawValue: UInt8
        /// A set of flags.
        init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The master has lost events: no slave is in sync until the initsync that follows.
        static let incomplete = Flags(rawValue: 1 << 0)
        /// It hands a partial master what its sender holds: a stream for that master alone.
        static let handover = Flags(rawValue: 1 << 1)
        /// The master may lack what other nodes hold: what it says takes nothing away from them.
        static let partial = Flags(rawValue: 1 << 2)
    }

    /// What the packet is for.
    var type: PacketType
    /// The sender's id, unique in the cluster.
    var nodeID: UInt8
    /// Bits that hold for the whole packet.
    var flags: Flags
    /// Bytes of the whole packet, this header included.
    var length: UInt16
    /// How many messages (SYNC) or ranges (NACK) follow.
    var messageCount: UInt16
    /// The epoch of the master that sends, or that a slave follows.
    var epoch: UInt64
    /// By type, as said there.
    var sequence: UInt64
    /// The oldest packet that the master can send again; 0 from slaves.
    var oldest: UInt64
    /// When it was sent, in microseconds since 1970 by the sender's clock.
    var clockMicroseconds: UInt64

    /// A header of a packet without content.
    init(type: PacketType, nodeID: UInt8, epoch: UInt64, sequence: UInt64) {
        self.type = type
        self.nodeID = nodeID
        flags = []
        length = UInt16(Self.byteCount)
        messageCount = 0
        self.epoch = epoch
        self.sequence = sequence
        oldest = 0
        clockMicroseconds = 0
    }

    /// Writes the header and, over the whole packet, its checksum.
    ///
    /// - Parameters:
    ///   - packet: exactly `length` bytes, the content already in place.
    ///   - checksum: nil for a packet that will be sealed: the tag proves more.
    func seal(_ packet: inout MutableRawSpan, _ checksum: PacketChecksum?) {
        precondition(packet.byteCount == Int(length))
        packet.setByte(Place.version, Self.version)
        packet.setByte(Place.type, type.rawValue)
        packet.setByte(Place.nodeID, nodeID)
        packet.setByte(Place.flags, flags.rawValue)
        packet.setBig(Place.length, length)
        packet.setBig(Place.count, messageCount)
        packet.setBig(Place.epoch, epoch)
        packet.setBig(Place.sequence, sequence)
        packet.setBig(Place.oldest, oldest)
        packet.setBig(Place.clock, clockMicroseconds)
        packet.setBig(Place.checksum, UInt32(0))
        if let checksum { packet.setBig(Place.checksum, checksum.value(of: packet.bytes)) }
    }

    /// Makes a finished packet one that is to be sealed.
    static func clearChecksum(of packet: inout MutableRawSpan) {
        packet.setBig(Place.checksum, UInt32(0))
    }

    /// Reads and checks a packet's header.
    ///
    /// - Parameter checksum: nil for a packet that was sealed.
    /// - Throws: the first `WireError` that a ladder of checks finds; `message` if the numbers
    ///   contradict the type or each other.
    static func read(
        _ packet: RawSpan, _ checksum: PacketChecksum?
    ) throws(WireError) -> PacketHeader {
        guard packet.byteCount >= byteCount else { throw .short }
        guard packet.byte(Place.version) >> 4 == version >> 4 else { throw .version }
        guard Int(packet.big(Place.length, as: UInt16.self)) == packet.byteCount else {
            throw .length
        }
        guard let type = PacketType(rawValue: packet.byte(Place.type)) else { throw .type }
        if let checksum {
            guard checksum.value(of: packet) == packet.big(Place.checksum, as: UInt32.self)
            else { throw .checksum }
        }
        var header = PacketHeader(
            type: type, nodeID: packet.byte(Place.nodeID), epoch: packet.big(Place.epoch),
            sequence: packet.big(Place.sequence))
        header.flags = Flags(rawValue: packet.byte(Place.flags))
        header.length = packet.big(Place.length)
        header.messageCount = packet.big(Place.count)
        header.oldest = packet.big(Place.oldest)
        header.clockMicroseconds = packet.big(Place.clock)
        guard header.isPlausible else { throw .message }
        return header
    }

    /// No stream comes near this number; past it, counting on would overflow.
    private static let sequenceLimit: UInt64 = 1 << 62

    private var isPlausible: Bool {
        guard sequence < Self.sequenceLimit else { return false }
        switch type {
        case .SYNC: return sequence >= 1 && oldest <= sequence
        case .MASTER_ANNOUNCE: return oldest <= sequence + 1
        case .SLAVE_INITSYNC, .NACK: return true
        }
    }
}
