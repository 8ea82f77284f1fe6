// SPDX-License-Identifier: GPL-2.0-or-later

package import Glibc

/// An address and a port, IPv4 or IPv6.
package struct Endpoint: Sendable, Equatable, CustomStringConvertible {
    package let address: String
    package let port: UInt16

    package init(_ address: String, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    package var isIPv6: Bool { address.contains(":") }
    package var family: CInt { isIPv6 ? AF_INET6 : AF_INET }

    package var description: String { isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// Hands out the socket address.
    package func withSocketAddress<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
    ) throws -> Result {
        var storage = sockaddr_storage()
        let length: Int
        if isIPv6 {
            var value = sockaddr_in6()
            value.sin6_family = sa_family_t(AF_INET6)
            value.sin6_port = port.bigEndian
            guard inet_pton(AF_INET6, address, &value.sin6_addr) == 1 else {
                throw CallFailed("inet_pton \(address)", errno: EINVAL)
            }
            length = MemoryLayout<sockaddr_in6>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in6.self) }
        } else {
            var value = sockaddr_in()
            value.sin_family = sa_family_t(AF_INET)
            value.sin_port = port.bigEndian
            guard inet_pton(AF_INET, address, &value.sin_addr) == 1 else {
                throw CallFailed("inet_pton \(address)", errno: EINVAL)
            }
            length = MemoryLayout<sockaddr_in>.size
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: value, as: sockaddr_in.self) }
        }
        return try withUnsafePointer(to: &storage) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(length))
            }
        }
    }

    /// Reads what the kernel wrote as a peer's address.
    package init?(_ storage: sockaddr_storage) {
        var storage = storage
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = CInt(storage.ss_family)
        let port: UInt16? = withUnsafeMutableBytes(of: &storage) { bytes -> UInt16? in
            guard let base = bytes.baseAddress else { return nil }
            let offset = family == AF_INET6 ? 8 : 4
            guard
                inet_ntop(family, base + offset, &text, socklen_t(INET6_ADDRSTRLEN)) != nil
            else { return nil }
            return UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        }
        guard let port else { return nil }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        self.init(String(decoding: bytes, as: UTF8.self), port)
    }
}

/// Numbers of IP's protocols; the names of netinet/in.h depend on which module came first.
enum InternetProtocol {
    static let icmp: CInt = 1
    static let tcp: CInt = 6
    static let udp: CInt = 17
    static let icmpv6: CInt = 58
}
