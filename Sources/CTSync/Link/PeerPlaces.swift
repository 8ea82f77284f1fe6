// SPDX-License-Identifier: GPL-2.0-or-later

/// Which of the peers that the settings name cannot be other nodes on the sync link.
///
/// Addresses and routes come and go, so nothing is refused for it: the status says it while it is so.
struct PeerPlaces: Sendable, Equatable {
    /// Addresses of this node itself.
    var own: [HostAddress] = []
    /// Those in no network of their device that no route by it leads to.
    var elsewhere: [HostAddress] = []

    /// Nothing is wrong.
    init() {}

    /// Looks where a device's peers are.
    ///
    /// - Parameters:
    ///   - networks: the device's.
    ///   - own: all addresses of this node.
    ///   - hasRoute: whether a route by the device leads there; asked for what is in none of its networks.
    init(
        _ peers: [HostAddress], networks: [ReplicationFilter.Network], own: [Address],
        hasRoute: (HostAddress) -> Bool
    ) {
        for peer in peers {
            if own.contains(peer.address) {
                self.own.append(peer)
            } else if !networks.contains(where: { $0.contains(peer.address, peer.family) }),
                !hasRoute(peer)
            {
                elsewhere.append(peer)
            }
        }
    }

    /// Of all links of this machine; the namespace is the process's.
    ///
    /// - Throws: `SystemError` of getifaddrs(3).
    static func ofThisMachine(_ links: SyncLinks) throws(SystemError) -> PeerPlaces {
        var all = PeerPlaces()
        let sockets = links.sockets.filter { !$0.isMulticast && $0.device.index != 0 }
        guard !sockets.isEmpty else { return all }
        let own = try InterfaceAddress.own()
        for socket in sockets {
            let device = socket.device
            let places = PeerPlaces(
                socket.destinations.map { HostAddress($0.family, $0.address) },
                networks: device.networks, own: own
            ) { DeviceRoutes(device.name).lead(to: $0) }
            all.own += places.own
            all.elsewhere += places.elsewhere
        }
        return all
    }
}

/// The routes by one device, default routes included.
struct DeviceRoutes {
    /// The most bytes of a table of routes: it is read each second where a peer is in no network of its device.
    private static let limit = 1 << 20
    /// RTF_REJECT of linux/route.h.
    private static let reject: UInt32 = 0x0200

    private var networks: [ReplicationFilter.Network] = []

    /// Of this network namespace: the main table of IPv4, all tables of IPv6.
    init(_ device: String) {
        self.init(
            device, ipv4: TextFile.lines("/proc/net/route", limit: Self.limit),
            ipv6: TextFile.lines("/proc/net/ipv6_route", limit: Self.limit))
    }

    /// Reads the lines of /proc/net/route and /proc/net/ipv6_route.
    init(_ device: String, ipv4: [Substring], ipv6: [Substring]) {
        for line in ipv4.dropFirst() {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 8, words[0] == device, let flags = UInt32(words[3], radix: 16),
                flags & Self.reject == 0, let address = UInt32(words[1], radix: 16),
                let mask = UInt32(words[7], radix: 16)
            else { continue }
            // In the order of the network, as a number of this machine's.
            networks.append(
                ReplicationFilter.Network(
                    address: Address(ipv4: UInt32(bigEndian: address)),
                    prefixLength: mask.nonzeroBitCount, family: .ipv4))
        }
        for line in ipv6 {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count == 10, words[9] == device, words[0].utf8.count == 32,
                let flags = UInt32(words[8], radix: 16), flags & Self.reject == 0,
                let high = UInt64(words[0].prefix(16), radix: 16),
                let low = UInt64(words[0].suffix(16), radix: 16),
                let prefix = Int(words[1], radix: 16)
            else { continue }
            networks.append(
                ReplicationFilter.Network(
                    address: Address(high: high, low: low), prefixLength: prefix, family: .ipv6))
        }
    }

    /// Whether one of them leads to a host.
    func lead(to host: HostAddress) -> Bool {
        networks.contains { $0.contains(host.address, host.family) }
    }
}
