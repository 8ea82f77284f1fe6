// SPDX-License-Identifier: GPL-2.0-or-later

/// Tells packets that have come by another link than they are of: if two sync devices are on one segment,
/// each hears what is sent to all by the other one of every node, this one included.
///
/// A packet is of another link if it comes from this node's address there, or from a network of that link
/// that this one is not in. What comes from the link-local addresses of other nodes cannot be told apart.
///
/// Thread: the link's.
struct LinkCrossing {
    /// Those of each link's device.
    private var networks: [[ReplicationFilter.Network]]

    /// Of links that have no addresses yet.
    init(linkCount: Int) {
        networks = Array(repeating: [], count: linkCount)
    }

    /// Records the addresses of a link's device, with their networks.
    mutating func has(_ device: [ReplicationFilter.Network], link: Int) {
        networks[link] = device
    }

    /// Whether a packet that has come by the link of its sender's address is of another one.
    func isCrossing(_ sender: PeerAddress) -> Bool {
        let own = Int(sender.link)
        guard networks.count > 1, networks.indices.contains(own) else { return false }
        let isOfOwn = networks[own].contains { $0.contains(sender.address, sender.family) }
        return networks.indices.contains { link in
            guard link != own else { return false }
            return networks[link].contains { network in
                network.family == sender.family
                    && (network.address == sender.address
                        || !isOfOwn && network.contains(sender.address, sender.family))
            }
        }
    }
}
