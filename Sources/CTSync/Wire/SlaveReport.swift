// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave says of itself behind the ranges of a NACK and in a SLAVE_INITSYNC: 36 bytes.
///
/// ```
/// | 0 basis: epoch 8, sequence 8 | 16 highest claim known: epoch 8 | 24 its node 1 | 25 flags 1 |
/// | 26 links 1 | 27 zero 1 | 28 milliseconds since that claim's maker was heard 4 | 32 entries held 4 |
/// ```
struct SlaveReport: Equatable, Sendable, BitwiseCopyable {
    /// What it holds.
    var holding = Holding()
    /// The highest claim that it knows of.
    var known = MasterClaim.none
    /// For how long the maker of that claim has not been heard; `never` for not at all.
    var silentMilliseconds = never
    /// How many connections of the master it holds.
    var entryCount: UInt32 = 0
    /// Whether it is in sync.
    var isInSync = false
    /// By which of the master's links it hears that; none if the master does not number them.
    var links: LinkSet = []

    /// Bytes on the wire.
    static let byteCount = 2 * Basis.byteCount + 8 + 1 + 1 + 2 + 4 + 4
    /// The maker of the known claim was not heard by this process.
    static let never = UInt32.max

    private static let inSync: UInt8 = 1
    private static let more: UInt8 = 2
    private static let unproved: UInt8 = 4
    private static let branch: UInt8 = 8

    /// Writes its bytes.
    func write(_ packet: inout MutableRawSpan, at place: Int) {
        holding.basis.write(&packet, at: place)
        packet.setBig(place + 16, known.epoch)
        packet.setByte(place + 24, known.nodeID)
        packet.setByte(
            place + 25,
            (isInSync ? Self.inSync : 0) | (holding.hasMore ? Self.more : 0)
                | (holding.hasUnproved ? Self.unproved : 0)
                | (holding.isBranch ? Self.branch : 0))
        packet.setByte(place + 26, links.rawValue)
        packet.setByte(place + 27, 0)
        packet.setBig(place + 28, silentMilliseconds)
        packet.setBig(place + 32, entryCount)
        holding.latest.write(&packet, at: place + 36)
    }

    /// The traits behind the report of a packet that has so many ranges before it; nil without.
    static func traits(_ packet: RawSpan, after ranges: Int) -> Traits? {
        Traits.read(
            packet,
            at: PacketHeader.byteCount + ranges * SequenceRange.byteCount + byteCount)
    }

    /// Reads the report of a packet that has so many ranges before it.
    ///
    /// - Throws: `WireError.message` if the packet ends before it.
    static func read(_ packet: RawSpan, after ranges: Int) throws(WireError) -> SlaveReport {
        let place = PacketHeader.byteCount + ranges * SequenceRange.byteCount
        guard place + byteCount <= packet.byteCount else { throw .message }
        var report = SlaveReport()
        report.holding.basis = Basis.read(packet, at: place)
        report.holding.hasMore = packet.byte(place + 25) & more != 0
        report.holding.hasUnproved = packet.byte(place + 25) & unproved != 0
        report.holding.isBranch = packet.byte(place + 25) & branch != 0
        report.known = MasterClaim(
            epoch: packet.big(place + 16), nodeID: packet.byte(place + 24))
        report.isInSync = packet.byte(place + 25) & inSync != 0
        report.silentMilliseconds = packet.big(place + 28)
        report.entryCount = packet.big(place + 32)
        report.links = LinkSet(rawValue: packet.byte(place + 26))
        report.holding.latest = Basis.read(packet, at: place + 36)
        return report
    }
}
