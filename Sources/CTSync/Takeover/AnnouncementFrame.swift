// SPDX-License-Identifier: GPL-2.0-or-later

/// The Ethernet frames by which a node says that an address is now at its station.
enum AnnouncementFrame {
    /// ar_op: both are sent, since some neighbours renew their cache by the one only, some by the
    /// other (RFC 5227, section 3).
    enum Operation: UInt16 {
        /// ARPOP_REQUEST
        case request = 1
        /// ARPOP_REPLY
        case reply = 2
    }

    /// A gratuitous ARP packet: sender and target address are both the one announced.
    ///
    /// - Parameters:
    ///   - operation: request (RFC 5227 announcement) or unasked reply.
    ///   - station: six bytes.
    ///   - address: an IPv4 address.
    static func arp(
        _ operation: Operation, station: [UInt8], address: Address
    ) -> [UInt8] {
        let protocolAddress = bytes(UInt32(truncatingIfNeeded: address.low))
        let broadcast = [UInt8](repeating: 0xFF, count: 6)
        var frame = broadcast + station + [0x08, 0x06]  // ETH_P_ARP
        frame += [0x00, 0x01, 0x08, 0x00, 6, 4]  // Ethernet, IPv4, their address lengths
        frame += bytes(operation.rawValue)
        frame += station + protocolAddress  // sender
        frame += operation == .request ? [UInt8](repeating: 0, count: 6) : broadcast
        frame += protocolAddress  // target
        return frame
    }

    /// An unsolicited neighbour advertisement to all nodes (RFC 4861, section 4.4).
    ///
    /// - Parameters:
    ///   - station: six bytes.
    ///   - address: an IPv6 address, source and target.
    ///   - isRouter: the R flag: cleared, it makes hosts forget a router (section 7.2.5).
    static func neighbourAdvertisement(
        station: [UInt8], address: Address, isRouter: Bool
    ) -> [UInt8] {
        let own = bytes(address.high) + bytes(address.low)
        let allNodes: [UInt8] = [0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01]
        var message: [UInt8] = [136, 0, 0, 0]  // type, code, checksum
        message += [isRouter ? 0xA0 : 0x20, 0, 0, 0]  // R, O; not S
        message += own
        message += [2, 1] + station  // target link-layer address, in units of eight bytes
        let length = UInt16(message.count)
        let pseudoHeader = own + allNodes + [0, 0] + bytes(length) + [0, 0, 0, 58]
        let sum = checksum(pseudoHeader + message)
        message[2] = UInt8(sum >> 8)
        message[3] = UInt8(truncatingIfNeeded: sum)
        var frame: [UInt8] = [0x33, 0x33, 0, 0, 0, 0x01] + station + [0x86, 0xDD]  // ETH_P_IPV6
        frame += [0x60, 0, 0, 0] + bytes(length) + [58, 255]  // ICMPv6, hop limit
        return frame + own + allNodes + message
    }

    /// RFC 1071, of an even number of bytes.
    private static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
        }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        return ~UInt16(sum)
    }

    private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
}
