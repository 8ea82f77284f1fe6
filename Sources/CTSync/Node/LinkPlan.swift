// SPDX-License-Identifier: GPL-2.0-or-later

/// The sync devices as they are at the start, and the peers of each.
///
/// A single one has to be usable. Of several one has to be: the others may come later, as a node that
/// boots with a dead card is to be a standby all the same.
struct LinkPlan {
    /// One device.
    struct Link {
        /// With the index 0 if it is not there.
        var device: SyncDevice
        /// Empty for a group.
        var peers: [HostAddress]
    }

    /// In their order.
    private(set) var links: [Link] = []
    /// What keeps some of them from being used now.
    private(set) var troubles: [String] = []

    /// Looks the devices up.
    ///
    /// - Throws: `ConfigurationError` if none can be used, or a peer or a device is left over.
    init(_ configuration: Configuration) throws(ConfigurationError) {
        var devices: [SyncDevice] = []
        for name in configuration.syncdevs {
            do throws(ConfigurationError) {
                let device = try Self.lookUp(name)
                devices.append(device)
                try Self.check(device, configuration)
            } catch {
                if devices.last?.name != name { devices.append(SyncDevice(absent: name)) }
                troubles.append(error.sentence)
                guard troubles.count < configuration.syncdevs.count else { throw error }
            }
        }
        for device in devices {
            links.append(
                Link(device: device, peers: Self.peers(of: device, devices, configuration)))
        }
        guard !configuration.peers.isEmpty, links.count > 1 else { return }
        for peer in configuration.peers where !links.contains(where: { $0.peers.contains(peer) }) {
            throw ConfigurationError(
                "peer \(peer) is in no network of the sync devices", at: .notReady)
        }
        for link in links where link.peers.isEmpty {
            throw ConfigurationError(
                "no peer is in a network of syncdev \(link.device.name)", at: .notReady)
        }
    }

    private static func lookUp(_ name: String) throws(ConfigurationError) -> SyncDevice {
        let device: SyncDevice
        do throws(SystemError) {
            device = try SyncDevice(named: name)
        } catch {
            throw ConfigurationError(
                "syncdev \"\(name)\" cannot be used: \(error)", at: .notReady)
        }
        guard device.mtu >= SyncSocket.smallestMTU else {
            throw ConfigurationError(
                "syncdev \(name) has an MTU of \(device.mtu) bytes; "
                    + "at least \(SyncSocket.smallestMTU) are needed", at: .notReady)
        }
        return device
    }

    private static func check(
        _ device: SyncDevice, _ configuration: Configuration
    ) throws(ConfigurationError) {
        let only = configuration.syncdevs.count == 1 ? configuration.peers.first : nil
        if let family = only?.family ?? configuration.group?.family {
            guard device.families.contains(FamilySet(family)) else {
                throw ConfigurationError(
                    "syncdev \(device.name) has no \(family == .ipv4 ? "IPv4" : "IPv6") address; "
                        + "give it one, or choose the other family with --group or --peer",
                    at: .notReady)
            }
        }
        guard !device.families.isEmpty else {
            throw ConfigurationError(
                "syncdev \(device.name) has no address; take it up, or give it one", at: .notReady)
        }
        guard device.hasMulticast || !configuration.peers.isEmpty else {
            throw ConfigurationError(
                "syncdev \(device.name) has no multicast; name the other nodes with --peer")
        }
    }

    /// Those of its networks, those whose scope it is, and while it has no network those that are in no
    /// other device's.
    private static func peers(
        of device: SyncDevice, _ devices: [SyncDevice], _ configuration: Configuration
    ) -> [HostAddress] {
        guard devices.count > 1 else { return configuration.peers }
        func isNear(_ peer: HostAddress, _ device: SyncDevice) -> Bool {
            device.networks.contains { $0.contains(peer.address, peer.family) }
        }
        return configuration.peers.filter { peer in
            if let names = configuration.peerDevices[peer] { return names.contains(device.name) }
            guard device.networks.contains(where: { $0.family == peer.family }) else {
                return !devices.contains { isNear(peer, $0) }
            }
            return isNear(peer, device)
        }
    }
}
