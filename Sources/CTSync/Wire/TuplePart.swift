// SPDX-License-Identifier: GPL-2.0-or-later

/// A tuple in a message; protocol and family stand elsewhere.
///
/// ```
///        0            4/16         8/32         10/34       12/36
///       +------------+------------+------------+------------+
///       |source      |destination |source port |dest. port  |
///       +------------+------------+------------+------------+
/// bytes  4/16         4/16         2            2
/// ```
///
/// Ports are ICMP's id and (type << 8 | code), GRE's keys, 0 if there are none.
enum TuplePart {
    /// Bytes of a tuple of a family.
    @inline(__always)
    static func byteCount(_ family: Family) -> Int {
        family == .ipv4 ? 4 + 4 + 2 + 2 : 16 + 16 + 2 + 2
    }

    /// Writes a tuple at an offset.
    static func write(_ tuple: borrowing Tuple, _ packet: inout MutableRawSpan, at offset: Int) {
        var place = offset
        if tuple.family == .ipv4 {
            packet.setBig(place, UInt32(truncatingIfNeeded: tuple.source.low))
            packet.setBig(place + 4, UInt32(truncatingIfNeeded: tuple.destination.low))
            place += 8
        } else {
            packet.setBig(place, tuple.source.high)
            packet.setBig(place + 8, tuple.source.low)
            packet.setBig(place + 16, tuple.destination.high)
            packet.setBig(place + 24, tuple.destination.low)
            place += 32
        }
        packet.setBig(place, tuple.sourcePort)
        packet.setBig(place + 2, tuple.destinationPort)
    }

    /// Reads the tuple at an offset; the caller has checked the bounds.
    @inline(__always)
    static func read(
        _ packet: RawSpan, at offset: Int, _ family: Family, _ protocolNumber: UInt8
    ) -> Tuple {
        let source: Address
        let destination: Address
        let ports: Int
        if family == .ipv4 {
            source = Address(ipv4: packet.big(offset))
            destination = Address(ipv4: packet.big(offset + 4))
            ports = offset + 8
        } else {
            source = Address(high: packet.big(offset), low: packet.big(offset + 8))
            destination = Address(high: packet.big(offset + 16), low: packet.big(offset + 24))
            ports = offset + 32
        }
        return Tuple(
            family: family, protocolNumber: protocolNumber, source: source,
            destination: destination, sourcePort: packet.big(ports),
            destinationPort: packet.big(ports + 2))
    }
}
