// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Tells switches and neighbours where the addresses of the devices that were dark are now.
///
/// Gratuitous ARP and unsolicited neighbour advertisements, as raw frames, each through the device
/// that has the address, so that a VLAN's carry its tag. Call `announce` when the drop is off, and a
/// few times more: nobody confirms.
final class NeighbourAnnouncer {
    /// How one round went.
    struct Round: Equatable, Sendable {
        /// Frames that the devices took.
        var sentFrames = 0
        /// Frames that they refused: a device is down, a queue full.
        var refusedFrames = 0
    }

    private let excluded: Set<String>
    private let socket: Descriptor
    private let monitor: DeviceMonitor

    /// Opens its sockets in the network namespace of the calling thread.
    ///
    /// - Parameter excluded: syncdev and the exempt devices, which were never dark.
    /// - Throws: `SystemError` of the sockets.
    init(excluding excluded: [String]) throws(SystemError) {
        self.excluded = Set(excluded)
        socket = try Descriptor("packet socket") { ctsync_packet_open(0) }
        monitor = try DeviceMonitor()
    }

    /// Announces every address of every Ethernet device that is up, once.
    ///
    /// - Parameter isRehearsal: makes the frames and sends none.
    /// - Returns: what was sent, or would be.
    /// - Throws: `SystemError` if the devices or addresses cannot be listed.
    @discardableResult
    func announce(isRehearsal: Bool = false) throws(SystemError) -> Round {
        _ = try monitor.drain()
        var devices: [String: Device] = [:]
        for device in try monitor.devices() where isAnnounced(device) {
            devices[device.name] = device
        }
        var round = Round()
        let send = { (interface: InterfaceAddress) in
            // An IPv4 address's label may have an alias behind the device's name ("eth0:1").
            let name = interface.device.split(separator: ":").first.map(String.init) ?? ""
            guard let device = devices[name], let network = interface.network else { return }
            for frame in Self.frames(for: network, on: device) {
                guard !isRehearsal else {
                    round.sentFrames += 1
                    continue
                }
                let sent = frame.withUnsafeBytes {
                    ctsync_packet_send(self.socket.raw, device.index, $0.baseAddress, $0.count)
                }
                if sent == frame.count {
                    round.sentFrames += 1
                } else {
                    round.refusedFrames += 1
                }
            }
        }
        try InterfaceAddress.visitAll(send)
        return round
    }

    private func isAnnounced(_ device: Device) -> Bool {
        device.isUp && !device.isLoopback && !device.hasNoNeighbours && device.hardwareType == 1
            && device.address.count == 6 && !excluded.contains(device.name)
    }

    private static func frames(
        for network: ReplicationFilter.Network, on device: Device
    ) -> [[UInt8]] {
        switch network.family {
        case .ipv4:
            [.request, .reply].map {
                AnnouncementFrame.arp($0, station: device.address, address: network.address)
            }
        case .ipv6:
            [
                AnnouncementFrame.neighbourAdvertisement(
                    station: device.address, address: network.address,
                    isRouter: isRouter(device.name))
            ]
        }
    }

    /// Whether the device forwards IPv6: net.ipv6.conf.<device>.forwarding.
    private static func isRouter(_ device: String) -> Bool {
        let path = "/proc/sys/net/ipv6/conf/\(device)/forwarding"
        let file = ctsync_open(path, O_RDONLY, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        var byte: UInt8 = 0
        return read(file, &byte, 1) == 1 && byte != 0x30
    }
}
