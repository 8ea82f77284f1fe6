// SPDX-License-Identifier: GPL-2.0-or-later

/// What becomes of conntrackd's links: the sync devices, in the order of their use, and whom they reach.
struct LinkSettings {
    /// What a link is turned into.
    enum Part: Equatable {
        /// The first sync device.
        case first
        /// One more sync device.
        case device
        /// One more peer on a device that is there.
        case peer
        /// Nothing, and why.
        case nothing(String)
    }

    /// A link each.
    private(set) var parts: [Part] = []
    /// The sync devices.
    private(set) var devices: [String] = []
    /// The group, or the peers.
    private(set) var targets: [String] = []
    /// Those devices whose peers are IPv6 addresses.
    private var ipv6Devices: Set<String> = []

    /// No link.
    init() {}

    /// Looks at links of one kind.
    ///
    /// - Parameter chosen: the place of the one that conntrackd uses first.
    init(_ links: [Link], chosen: Int) {
        parts = Array(repeating: .first, count: links.count)
        add(links[chosen])
        for (index, link) in links.enumerated() where index != chosen {
            parts[index] = part(link)
            switch parts[index] {
            case .device, .peer: add(link)
            case .first, .nothing: break
            }
        }
    }

    private mutating func add(_ link: Link) {
        if !devices.contains(link.device) { devices.append(link.device) }
        guard link.isMulticast else {
            targets.append(link.target)
            if link.target.contains(":") { ipv6Devices.insert(link.device) }
            return
        }
        if targets.isEmpty { targets.append(link.target) }
    }

    private func part(_ link: Link) -> Part {
        let isKnown = devices.contains(link.device)
        if link.isMulticast {
            return isKnown ? .nothing("a device has one group, \(targets[0])") : .device
        }
        if targets.contains(link.target) {
            return .nothing(
                "a peer is reached over one device; give it an address in the network of "
                    + "\(link.device), and add syncdev and peer")
        }
        guard isKnown else { return .device }
        return link.target.contains(":") == ipv6Devices.contains(link.device)
            ? .peer : .nothing("the peers of a device are of one family")
    }

    /// The settings, without the port.
    func settings(isMulticast: Bool) -> [(String, String)] {
        devices.map { ("syncdev", $0) } + targets.map { (isMulticast ? "group" : "peer", $0) }
    }
}
