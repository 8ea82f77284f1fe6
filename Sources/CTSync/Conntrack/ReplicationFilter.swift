// SPDX-License-Identifier: GPL-2.0-or-later

/// Which connections are replicated: those that go through the firewall.
///
/// Left out are loopback, what runs over the sync link, and connections that begin or end at the
/// node itself: their sockets do not move with a takeover.
public struct ReplicationFilter: Sendable {
    /// A network of the sync link.
    public struct Network: Sendable, Equatable {
        /// Any address in it.
        public var address: Address
        /// The bits that all its addresses share.
        public var prefixLength: Int
        /// AF_INET or AF_INET6
        public var family: Family

        /// A network.
        public init(address: Address, prefixLength: Int, family: Family) {
            self.address = address
            self.prefixLength = prefixLength
            self.family = family
        }
    }

    private let own: [Address]
    private let syncNetworks: [Network]
    private let syncAddresses: [Address]

    /// A filter that knows these addresses.
    ///
    /// - Parameters:
    ///   - ownAddresses: of all devices of the node.
    ///   - syncNetworks: the sync device's own addresses with their prefixes.
    public init(ownAddresses: [Address], syncNetworks: [Network]) {
        own = ownAddresses.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        self.syncNetworks = syncNetworks
        syncAddresses = syncNetworks.map(\.address)
    }

    /// A filter that leaves out loopback only.
    public static let everything = ReplicationFilter(ownAddresses: [], syncNetworks: [])

    /// Whether an entry is to be replicated.
    public func admits(_ entry: Entry) -> Bool {
        !isLinkLocal(entry.key.tuple) && !isOwn(entry) && !isSync(entry.key.tuple)
    }

    /// Whether a connection begins or ends at one of this node's own addresses.
    ///
    /// It begins at the original tuple's source and ends, after translation, at the reply's source.
    public func isOwn(_ entry: Entry) -> Bool {
        holds(entry.key.tuple.source) || holds(entry.reply.source)
    }

    /// Loopback and IPv6 link-local addresses, which no firewall forwards.
    private func isLinkLocal(_ tuple: Tuple) -> Bool {
        if tuple.family == .ipv4 {
            return tuple.source.low >> 24 == 127 || tuple.destination.low >> 24 == 127
        }
        let loopback = Address(high: 0, low: 1)
        return tuple.source == loopback || tuple.destination == loopback
            || tuple.source.high >> 54 == 0x3FA || tuple.destination.high >> 54 == 0x3FA
    }

    private func isSync(_ tuple: Tuple) -> Bool {
        for address in syncAddresses where tuple.source == address || tuple.destination == address {
            return true
        }
        for network in syncNetworks where network.family == tuple.family {
            let length = network.prefixLength
            if tuple.source.isWithin(network.address, prefixLength: length, tuple.family),
                tuple.destination.isWithin(network.address, prefixLength: length, tuple.family)
            {
                return true
            }
        }
        return false
    }

    private func holds(_ address: Address) -> Bool {
        var low = 0
        var high = own.count
        while low < high {
            let middle = (low + high) / 2
            let candidate = own[middle]
            if candidate == address { return true }
            if (candidate.high, candidate.low) < (address.high, address.low) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return false
    }
}
