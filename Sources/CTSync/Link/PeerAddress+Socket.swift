// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// `PeerAddress` as the socket calls have it: `struct sockaddr_in` and `sockaddr_in6`.
extension PeerAddress {
    /// Reads a socket address; nil for another family than IPv4 and IPv6. An IPv4 address as an IPv6
    /// socket has it (::ffff:0:0/96) is one.
    ///
    /// - Parameter family: taken instead of the address's own, which a netmask may lack.
    init?(_ pointer: UnsafeRawPointer, family: Family? = nil) {
        let own = pointer.loadUnaligned(as: sa_family_t.self)
        switch family ?? Family(rawValue: UInt8(truncatingIfNeeded: own)) {
        case .ipv4:
            let address = pointer.loadUnaligned(as: sockaddr_in.self)
            self.init(
                address: Address(ipv4: UInt32(bigEndian: address.sin_addr.s_addr)), family: .ipv4,
                port: UInt16(bigEndian: address.sin_port))
        case .ipv6:
            let high = pointer.loadUnaligned(fromByteOffset: 8, as: UInt64.self).bigEndian
            let low = pointer.loadUnaligned(fromByteOffset: 16, as: UInt64.self).bigEndian
            let port = pointer.loadUnaligned(fromByteOffset: 2, as: UInt16.self).bigEndian
            if high == 0, low >> 32 == Self.mapped >> 32 {
                let address = Address(ipv4: UInt32(truncatingIfNeeded: low))
                self.init(address: address, family: .ipv4, port: port)
            } else {
                self.init(address: Address(high: high, low: low), family: .ipv6, port: port)
            }
        case nil:
            return nil
        }
    }

    /// The second half of ::ffff:0:0.
    private static let mapped: UInt64 = 0xFFFF_0000_0000

    /// Writes it as a socket address.
    ///
    /// - Parameters:
    ///   - scope: the device of a link-local IPv6 address.
    ///   - socket: the socket's own family; an IPv6 one takes an IPv4 address as ::ffff:0:0/96.
    ///   - pointer: at least the size of `sockaddr_in6`.
    /// - Returns: the bytes written.
    @discardableResult
    func write(
        scope: UInt32, as socket: Family, to pointer: UnsafeMutableRawPointer
    ) -> socklen_t {
        switch socket {
        case .ipv4:
            var socketAddress = sockaddr_in()
            socketAddress.sin_family = sa_family_t(AF_INET)
            socketAddress.sin_port = port.bigEndian
            socketAddress.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.low).bigEndian
            pointer.storeBytes(of: socketAddress, as: sockaddr_in.self)
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        case .ipv6:
            var socketAddress = sockaddr_in6()
            socketAddress.sin6_family = sa_family_t(AF_INET6)
            socketAddress.sin6_port = port.bigEndian
            let isLinkLocal =
                family == .ipv6 && (address.high >> 54 == 0x3FA || address.high >> 48 == 0xFF02)
            socketAddress.sin6_scope_id = isLinkLocal ? scope : 0
            pointer.storeBytes(of: socketAddress, as: sockaddr_in6.self)
            pointer.storeBytes(of: address.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            let low = family == .ipv4 ? Self.mapped | address.low : address.low
            pointer.storeBytes(of: low.bigEndian, toByteOffset: 16, as: UInt64.self)
            return socklen_t(MemoryLayout<sockaddr_in6>.size)
        }
    }
}
