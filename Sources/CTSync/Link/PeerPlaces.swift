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

    /// The most bytes of a table of routes: it is read each second where a peer is in no network of its device.
    private static let routeLimit = 1 << 20

    /// Of all links of this machine; the namespace is the process's.
    ///
    /// - Throws: `SystemError` of getifaddrs(3).
    static func ofThisMachine(_ links: SyncLinks) throws(SystemError) -> PeerPlaces {
        var all = PeerPlaces()
        let sockets = links.sockets.filter { !$0.isMulticast && $0.device.index != 0 }
        guard !sockets.isEmpty else { return all }
        let own = try InterfaceAddress.own()
        // All of IPv6, of IPv4 the main table; asked for if it is needed.
        var routes: [Route]?
        for socket in sockets {
            let device = socket.device
            let places = PeerPlaces(
                socket.destinations.map { HostAddress($0.family, $0.address) },
                networks: device.networks, own: own
            ) { peer in
                let known = routes ?? Route.all(limit: routeLimit)
                routes = known
                return known.lead(to: peer, by: device.name)
            }
            all.own += places.own
            all.elsewhere += places.elsewhere
        }
        return all
    }
}
