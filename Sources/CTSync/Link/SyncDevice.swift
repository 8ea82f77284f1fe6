// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The device of the sync link, as it was when it was looked up.
struct SyncDevice: Sendable, Equatable {
    /// Its name.
    let name: String
    /// Its interface index.
    let index: UInt32
    /// The largest packet it carries, in bytes.
    let mtu: Int
    /// Whether it takes multicast (IFF_MULTICAST).
    let hasMulticast: Bool
    /// Its own addresses with their prefixes.
    let networks: [ReplicationFilter.Network]

    /// Looks a device up.
    ///
    /// - Throws: `SystemError` with ENODEV if there is none of this name.
    init(named name: String) throws(SystemError) {
        self.name = name
        index = if_nametoindex(name)
        guard index != 0 else { throw SystemError("device \(name)", errno: ENODEV) }
        mtu = Int(try retrying("MTU of \(name)") { ctsync_device_mtu(name) })
        var networks: [ReplicationFilter.Network] = []
        var flags: UInt32 = 0
        try InterfaceAddress.visitAll { interface in
            guard interface.device == name else { return }
            flags |= interface.flags
            if let network = interface.network { networks.append(network) }
        }
        hasMulticast = flags & UInt32(IFF_MULTICAST) != 0
        self.networks = networks
    }

    /// A device that is not there yet.
    init(absent name: String) {
        self.name = name
        (index, mtu, hasMulticast, networks) = (0, 0, false, [])
    }

    /// The families that it has an address of.
    var families: FamilySet {
        networks.reduce(into: []) { $0.insert(FamilySet($1.family)) }
    }

    /// Whether it is there now, and whether its link is up (IFF_RUNNING).
    var presence: (isPresent: Bool, hasCarrier: Bool) {
        var flags: UInt32?
        do throws(SystemError) {
            try InterfaceAddress.visitAll { interface in
                if interface.device == name { flags = interface.flags }
            }
        } catch {
            return (true, true)
        }
        return (flags != nil, (flags ?? 0) & UInt32(IFF_RUNNING) != 0)
    }

    /// Its addresses, for a person.
    var addresses: String {
        let list = networks.map { HostAddress($0.family, $0.address).description }
        return list.isEmpty ? "none" : list.joined(separator: ", ")
    }
}

/// One line of getifaddrs(3).
struct InterfaceAddress {
    var device: String
    /// IFF_*
    var flags: UInt32
    /// The address and its prefix; nil for other than IPv4 and IPv6.
    var network: ReplicationFilter.Network?

    /// Calls `body` with every device and address of this network namespace.
    static func visitAll(_ body: (InterfaceAddress) -> Void) throws(SystemError) {
        var first: UnsafeMutablePointer<ifaddrs>?
        try retrying("getifaddrs") { getifaddrs(&first) }
        defer { freeifaddrs(first) }
        var next = first
        while let line = next {
            next = line.pointee.ifa_next
            var network: ReplicationFilter.Network?
            if let address = line.pointee.ifa_addr, let mask = line.pointee.ifa_netmask {
                if let host = PeerAddress(UnsafeRawPointer(address)),
                    let bits = PeerAddress(UnsafeRawPointer(mask), family: host.family)
                {
                    network = ReplicationFilter.Network(
                        address: host.address,
                        prefixLength: bits.address.high.nonzeroBitCount
                            + bits.address.low.nonzeroBitCount, family: host.family)
                }
            }
            body(
                InterfaceAddress(
                    device: String(cString: line.pointee.ifa_name), flags: line.pointee.ifa_flags,
                    network: network))
        }
    }

    /// All addresses of this network namespace on devices that are up, but those of some devices.
    static func hosts(except devices: [String]) throws(SystemError) -> [HostAddress] {
        var hosts: [HostAddress] = []
        try visitAll { interface in
            guard let network = interface.network, !devices.contains(interface.device),
                interface.flags & UInt32(IFF_UP) != 0
            else { return }
            hosts.append(HostAddress(network.family, network.address))
        }
        return hosts
    }

    /// All addresses of this network namespace.
    static func own() throws(SystemError) -> [Address] {
        var addresses: [Address] = []
        try visitAll { interface in
            if let network = interface.network { addresses.append(network.address) }
        }
        return addresses
    }
}
