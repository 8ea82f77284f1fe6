// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a datagram came from or goes to.
public struct PeerAddress: Hashable, Sendable, BitwiseCopyable {
    /// The host.
    public var address: Address
    /// AF_INET or AF_INET6
    public var family: Family
    /// The UDP port.
    public var port: UInt16

    /// An address and a port.
    public init(address: Address, family: Family, port: UInt16) {
        self.address = address
        self.family = family
        self.port = port
    }
}
