// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a datagram came from or goes to.
struct PeerAddress: Hashable, Sendable, BitwiseCopyable {
    /// The host.
    var address: Address
    /// AF_INET or AF_INET6
    var family: Family
    /// The UDP port.
    var port: UInt16

    /// An address and a port.
    init(address: Address, family: Family, port: UInt16) {
        self.address = address
        self.family = family
        self.port = port
    }
}
