// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// What a node saw of its links at the last look.
struct LinkLooks: ~Copyable {
    /// The devices that `limitPackets` saw, and their MTUs.
    var devices: [UInt32: Int] = [:]
    var watch = DeviceWatch()
    /// Packets that the network has refused: how many there were, and when there were more.
    var refusals: (count: UInt64, at: Instant?) = (0, nil)
}

/// The links and what comes by them: who is heard, how large packets may be, what does not get through.
extension Node {
    /// Notes when the network refuses packets.
    func lookAtRefusals(_ now: Instant) {
        let count = refusedPackets
        if count != looks.refusals.count { looks.refusals = (count, now) }
    }

    /// What was seen on the device lately.
    func sighting(_ now: Instant) -> Sighting? { looks.watch.sighting(now) }

    /// Looks at the device itself while nobody is heard.
    func lookAtDevice(_ report: NodeReport) {
        looks.watch.look(
            report, links.first, devices: links.sockets.map(\.device.index), now: Clock.now())
    }

    /// The other nodes, as they were last heard in the present role.
    var heard: [(address: PeerAddress, at: Instant)] {
        guard role == .slave else {
            return master.exchange.peers.flatMap(\.paths).map { ($0.address, $0.lastHeard) }
        }
        let paths = link.status.paths
        return (0..<links.linkCount).compactMap { link in
            paths.address(link).map { ($0, paths.heardAt(link)) }
        }
    }

    /// Has packets fit through each sync device as it is now, with the envelope if there is one, and
    /// through a path that takes less.
    func limitPackets() {
        let devices = links.sockets.reduce(into: [UInt32: Int]()) {
            $0[$1.device.index] = $1.device.mtu
        }
        if devices != looks.devices { master.exchange.forgetPath() }
        looks.devices = devices
        master.ring.limitPackets(to: largestPacket - keys.seal.overhead)
    }

    /// Bytes of the largest packet that is sent, its envelope included.
    var largestPacket: Int { min(links.packetByteCount, master.exchange.pathLimit.byteCount) }

    /// Reads the node's own addresses again: they move with a takeover.
    func refreshAddresses() {
        do throws(SystemError) {
            filter.current = try Self.filter(configuration, links)
        } catch {
            log.warning("the node's addresses cannot be read: \(error)")
        }
    }

    /// What is replicated, with the node's own addresses as they are now.
    static func filter(
        _ configuration: Configuration, _ links: SyncLinks
    ) throws(SystemError) -> ReplicationFilter {
        ReplicationFilter(
            ownAddresses: try InterfaceAddress.own(), syncNetworks: links.networks,
            rules: configuration.replicationRules, replicatesOwn: configuration.ownConnections)
    }
}
