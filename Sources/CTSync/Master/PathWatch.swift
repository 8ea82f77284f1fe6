// SPDX-License-Identifier: GPL-2.0-or-later

/// Notices that packets never reach a slave, however often they are sent again. A path swallows packets that
/// its ends' devices take: 9,000 bytes at both ends, 1,500 at a switch between them. Or the slave drops them:
/// its keys are others than those that sealed them.
///
/// A slave that lacks the same packet after it was sent again so often, that hears the master all the
/// while, and that has none of the packets after it which are as large: it is the size. No probing. If it
/// goes on to lack it, whatever the reason is, it has to do with the table instead.
struct PathWatch: ~Copyable {
    /// How often a packet is sent again before its size is the reason: with NACKs at growing intervals,
    /// 0.6 s.
    static let attempts = 7
    /// How often before it is given up, as it will not arrive: 6 s.
    static let mostAttempts = 23
    /// The master must have been heard so lately when a slave asks.
    static let freshMilliseconds: UInt32 = 300
    /// Bytes of a packet, without IP and UDP headers, that paths are known to take: Ethernet, IPv6's
    /// least MTU, IPv4's least, and the least that the sync link needs.
    static let sizes = [1_452, 1_232, 528, SyncSocket.smallestMTU - 48]

    /// What a NACK calls for besides its answer.
    enum Verdict {
        /// Nothing.
        case none
        /// Packets have at most so many bytes from now on; what is larger is to be given up, so that the
        /// slave asks for the table instead.
        case limit(Int)
        /// All that was appended is to be given up likewise.
        case giveUp
    }

    private struct Place: BitwiseCopyable {
        var sequence: UInt64 = 0
        var count = 0
    }

    /// What the path to a slave takes; it outlives the terms.
    private(set) var limit = PathLimit()
    private let places: UnsafeMutablePointer<Place>

    init() {
        places = .allocate(capacity: 256)
        places.initialize(repeating: Place(), count: 256)
    }

    deinit { places.deallocate() }

    /// The next size to be tried; nil if there is none.
    static func size(below byteCount: Int) -> Int? { sizes.first { $0 < byteCount } }

    /// Takes a slave's NACK that names packets: they are to be smaller if it is their size that keeps them
    /// from it, and given up if they do not arrive in any case.
    mutating func take(
        _ packet: RawSpan, _ header: PacketHeader, _ report: SlaveReport, _ ring: SendRing
    ) throws(WireError) -> Verdict {
        guard report.silentMilliseconds < Self.freshMilliseconds,
            try SequenceRange.read(packet, index: 0).first == header.sequence,
            let byteCount = ring.byteCount(of: header.sequence)
        else { return .none }
        let sent = attempts(header.nodeID, header.sequence)
        if sent > 0, sent % Self.attempts == 0, let size = Self.size(below: byteCount),
            try !Self.hasPassed(byteCount, packet, header, ring)
        {
            forget(header.nodeID)
            limit = PathLimit(byteCount: size, nodeID: header.nodeID)
            return .limit(size)
        }
        guard sent >= Self.mostAttempts else { return .none }
        forget(header.nodeID)
        return .giveUp
    }

    /// Whether a packet of so many bytes came between those that a slave lacks.
    private static func hasPassed(
        _ byteCount: Int, _ packet: RawSpan, _ header: PacketHeader, _ ring: SendRing
    ) throws(WireError) -> Bool {
        var next = header.sequence
        for index in 0..<Int(header.messageCount) {
            let range = try SequenceRange.read(packet, index: index)
            while next < range.first {
                guard let found = ring.byteCount(of: next) else { break }
                if found >= byteCount { return true }
                next += 1
            }
            next = range.first &+ UInt64(range.count)
        }
        return false
    }

    /// The device is another one: its path may be too.
    mutating func forgetLimit() { limit = PathLimit() }

    /// Counts that a slave lacks a packet, the first that it lacks.
    ///
    /// - Returns: how often it was sent again before; 0 for the first time.
    private mutating func attempts(_ nodeID: UInt8, _ sequence: UInt64) -> Int {
        let place = places + Int(nodeID)
        guard place.pointee.sequence == sequence else {
            place.pointee = Place(sequence: sequence)
            return 0
        }
        place.pointee.count += 1
        return place.pointee.count
    }

    /// Begins to count again.
    private mutating func forget(_ nodeID: UInt8) { places[Int(nodeID)] = Place() }

    /// The same for all, as in a new epoch.
    mutating func reset() { places.update(repeating: Place(), count: 256) }
}
