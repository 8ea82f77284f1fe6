// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a datagram came from or goes to.
struct PeerAddress: Hashable, Sendable, BitwiseCopyable {
    /// The host.
    var address: Address
    /// AF_INET or AF_INET6
    var family: Family
    /// The UDP port.
    var port: UInt16
    /// The link that it is reached by: the place of the sync device.
    var link: UInt8

    /// An address and a port.
    init(address: Address, family: Family, port: UInt16, link: UInt8 = 0) {
        self.address = address
        self.family = family
        self.port = port
        self.link = link
    }

    /// Which of two addresses is shown of a sender that packets come from in turn: IPv4 before IPv6.
    ///
    /// - Parameter before: the one before, and when something came from it.
    func shown(after before: (peer: PeerAddress, at: Instant)?, now: Instant) -> PeerAddress {
        guard let before, family == .ipv6, before.peer.family == .ipv4 else { return self }
        return now < before.at + Self.memory ? before.peer : self
    }

    private static let memory = 2 * Duration.second
}
