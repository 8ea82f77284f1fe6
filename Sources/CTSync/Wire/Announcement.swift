// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master says of itself in a MASTER_ANNOUNCE: 52 bytes, no less than a slave's report, so that
/// an answer to one is never larger than the packet that it answers; then addresses, then traits.
///
/// ```
/// | 0 basis: epoch 8, sequence 8 | 16 entries 4 | 20 rules 4 | 24 count 1 | 25 flags 1: 0 events off |
/// | 26 link 1 | 27 path: node 1, bytes 2 | 30 zero: room 22 | 52 address 16 | ... | traits
/// ```
///
/// The addresses are those that stay with the node when another is promoted: it had them as slave. An
/// IPv4 address is written as IPv6 has it, ::ffff:a.b.c.d.
struct Announcement: Equatable, Sendable {
    /// What it had when it was promoted, and what it was handed since.
    var basis = Basis.none
    /// About how many connections it replicates; 0 if it does not say.
    var entryCount: UInt32 = 0
    /// The fingerprint of its rules of what is replicated; 0 if it does not say.
    var rules: UInt32 = 0
    /// Whether its kernel sends no events: it does not hear what changes.
    var areEventsOff = false
    /// The link that it goes out by, counted from 1; 0 of a master with a single one.
    var link: UInt8 = 0
    /// What its packets have at most as larger ones did not reach a slave.
    var path = PathLimit()
    /// At most `addressLimit`.
    var addresses: [HostAddress] = []
    /// What its kernel is set to; nil if it does not say.
    var traits: Traits?

    /// Bytes on the wire without addresses.
    static let byteCount = SlaveReport.byteCount
    /// The most addresses.
    static let addressLimit = 16
    /// Bytes with the most addresses, and traits.
    static let maximumByteCount = byteCount + addressLimit * addressByteCount + Traits.byteCount
    private static let addressByteCount = 16
    private static let countOffset = 24
    private static let flagsOffset = 25
    private static let eventsOff: UInt8 = 1
    private static let linkOffset = 26
    private static let pathOffset = 27
    private static let mapped: UInt64 = 0xFFFF_0000_0000

    /// Bytes on the wire.
    var byteCount: Int {
        Self.byteCount + addresses.count * Self.addressByteCount
            + (traits == nil ? 0 : Traits.byteCount)
    }

    /// Writes it after the header, with addresses and traits.
    func write(_ packet: inout MutableRawSpan) {
        let place = PacketHeader.byteCount
        basis.write(&packet, at: place)
        packet.setBig(place + 16, entryCount)
        packet.setBig(place + 20, rules)
        for offset in Self.countOffset..<Self.byteCount { packet.setByte(place + offset, 0) }
        precondition(addresses.count <= Self.addressLimit)
        packet.setByte(place + Self.countOffset, UInt8(addresses.count))
        packet.setByte(place + Self.flagsOffset, areEventsOff ? Self.eventsOff : 0)
        packet.setByte(place + Self.linkOffset, link)
        if path.isLess {
            packet.setByte(place + Self.pathOffset, path.nodeID)
            packet.setBig(place + Self.pathOffset + 1, UInt16(clamping: path.byteCount))
        }
        for (index, host) in addresses.enumerated() {
            let offset = place + Self.byteCount + index * Self.addressByteCount
            let isIPv4 = host.family == .ipv4
            packet.setBig(offset, host.address.high)
            packet.setBig(offset + 8, host.address.low | (isIPv4 ? Self.mapped : 0))
        }
        traits?.write(
            &packet, at: place + Self.byteCount + addresses.count * Self.addressByteCount)
    }

    /// Reads one, without its addresses.
    ///
    /// - Throws: `WireError.message` where the packet ends before it.
    static func read(_ packet: RawSpan) throws(WireError) -> Announcement {
        let place = PacketHeader.byteCount
        guard place + byteCount <= packet.byteCount else { throw .message }
        let count = Int(packet.byte(place + countOffset))
        let end = place + byteCount + count * addressByteCount
        guard end <= packet.byteCount else { throw .message }
        return Announcement(
            basis: Basis.read(packet, at: place), entryCount: packet.big(place + 16),
            rules: packet.big(place + 20),
            areEventsOff: packet.byte(place + flagsOffset) & eventsOff != 0,
            link: packet.byte(place + linkOffset), path: path(packet),
            traits: Traits.read(packet, at: end))
    }

    private static func path(_ packet: RawSpan) -> PathLimit {
        let place = PacketHeader.byteCount + pathOffset
        let byteCount: UInt16 = packet.big(place + 1)
        guard byteCount > 0 else { return PathLimit() }
        return PathLimit(byteCount: Int(byteCount), nodeID: packet.byte(place))
    }

    /// Puts the addresses of one that was read in the place of others, if they differ.
    static func readAddresses(_ packet: RawSpan, into addresses: inout [HostAddress]) {
        let place = PacketHeader.byteCount
        let count = min(Int(packet.byte(place + countOffset)), addressLimit)
        guard
            addresses.count != count
                || !(0..<count).allSatisfy({ index in
                    addresses[index] == address(packet, index)
                })
        else { return }
        addresses = (0..<count).map { address(packet, $0) }
    }

    private static func address(_ packet: RawSpan, _ index: Int) -> HostAddress {
        let offset = PacketHeader.byteCount + byteCount + index * addressByteCount
        let high: UInt64 = packet.big(offset)
        let low: UInt64 = packet.big(offset + 8)
        if high == 0, low >> 32 == mapped >> 32 {
            return HostAddress(.ipv4, Address(ipv4: UInt32(truncatingIfNeeded: low)))
        }
        return HostAddress(.ipv6, Address(high: high, low: low))
    }
}
