// SPDX-License-Identifier: GPL-2.0-or-later

/// Which device is dark, which open, and which stays open only for another one's frames.
///
/// Open are syncdev and the exempt devices, and the bond, bridge or VRF to which one of them
/// belongs: what that carries reaches a wire only through the open device, since its other members
/// are dark. What an open device stands on is a carrier: a VLAN's device lets that VLAN through, a
/// macvlan's its station address, the members of an open bond or bridge everything, for it all goes
/// to and from the bond or bridge. Whatever a carrier lets through, IP and ARP of the carrier itself
/// (not of what stands on it) are dropped above, by interface name.
///
/// A tunnel as syncdev (vxlan, gre, wireguard) names no device below in a way that can be relied on:
/// exempt the device that carries it.
struct DarkPlan: Equatable {
    /// A frame that a carrier lets through, in and out.
    enum Carried: Hashable {
        /// Every frame.
        case everything
        /// Frames with this tag.
        case tagged(Device.Tag)
        /// Frames to this station or to a group, and frames from it.
        case station([UInt8])
        /// Frames of this EtherType.
        case etherType(UInt16)
    }

    /// A device that stays open for what stands on it.
    struct Carrier: Equatable {
        let name: String
        /// What it lets through, in the order in which it was found.
        var carried: [Carried]
    }

    /// Devices with nothing dropped, loopback among them; those to come (by name) too.
    private(set) var open: [String] = []
    /// Devices open for another one's frames.
    private(set) var carriers: [Carrier] = []
    /// Devices with everything dropped.
    private(set) var dark: [String] = []
    /// The numbers of dark devices and carriers: one that has come again under its name has no hook of the
    /// old one's (before Linux 6.16).
    private var numbers: [UInt32] = []

    /// Works out what is what.
    ///
    /// - Parameters:
    ///   - devices: all devices of the namespace.
    ///   - wanted: the names of syncdev and of the exempt devices; one may be absent.
    init(_ devices: [Device], open wanted: [String]) {
        let byIndex = Dictionary(devices.map { ($0.index, $0) }) { first, _ in first }
        let roots = devices.filter { wanted.contains($0.name) }
        var openIndexes = Set(devices.filter(\.isLoopback).map(\.index))
        for root in roots {
            var next: Device? = root
            while let device = next, openIndexes.insert(device.index).inserted {
                next = device.master.flatMap { byIndex[$0] }
            }
        }
        var found: [UInt32: [Carried]] = [:]
        var waiting = roots.map { ($0, Carried.everything) }
        while let (device, carried) = waiting.popLast() {
            for (index, needed) in Self.below(device, carrying: carried, among: devices) {
                guard let carrier = byIndex[index], !openIndexes.contains(index),
                    !(found[index]?.contains(needed) ?? false)
                else { continue }
                found[index, default: []].append(needed)
                waiting.append((carrier, needed))
            }
        }
        open = ["lo"]
        for name in wanted where !open.contains(name) { open.append(name) }
        for device in devices {
            if openIndexes.contains(device.index) {
                if !open.contains(device.name) { open.append(device.name) }
                continue
            }
            numbers.append(device.index)
            if let carried = found[device.index] {
                carriers.append(Carrier(name: device.name, carried: carried))
            } else {
                dark.append(device.name)
            }
        }
    }

    /// The devices under one, and what each must let through so that the frames get there.
    private static func below(
        _ device: Device, carrying carried: Carried, among devices: [Device]
    ) -> [(UInt32, Carried)] {
        var result: [(UInt32, Carried)] = []
        switch device.kind {
        case "bond", "team":
            // LACP and ARP monitoring are the bond's own and pass its members only.
            result = devices.filter { $0.master == device.index }.map { ($0.index, .everything) }
        case "bridge":
            result = devices.filter { $0.master == device.index }.map { ($0.index, carried) }
        default:
            break
        }
        guard let lower = device.lower else { return result }
        switch device.kind {
        case "vlan":
            if let tag = device.tag { result.append((lower, .tagged(tag))) }
        case "macvlan", "macvtap":
            result.append((lower, .station(device.address)))
        case "macsec":
            result.append((lower, .etherType(0x88E5)))
        case "ipvlan", "ipvtap", "dsa":
            // ipvlan has its carrier's own address, a DSA port a tag of its switch's own kind.
            result.append((lower, .everything))
        default:
            break  // veth's is the other end, a tunnel's a route
        }
        return result
    }
}
