// SPDX-License-Identifier: GPL-2.0-or-later

/// What waits behind the darkness: addresses and routes.
extension NodeCheck {
    /// What a node needs outside once it is opened.
    struct Outside {
        /// The addresses of its devices, but for the sync device.
        var own: [HostAddress] = []
        /// Those that the master has said to stay with it.
        var ofMaster: [HostAddress] = []
        /// Routes that lead out of its devices, but for the sync device.
        var routes = 0
        /// The devices of the default routes.
        var defaults: [String] = []
    }

    /// A dark node has the master's addresses, and the routes, before it is opened.
    mutating func checkOutside() {
        guard report.role == .slave, report.l2drop.isOn else { return }
        let outside = facts.outside
        let lacking = outside.ofMaster.filter { !outside.own.contains($0) }
        for address in lacking {
            add(
                .fail, "address", "\(address) of node \(report.masterID) is not on this dark node",
                "ip addr    on both nodes")
        }
        let count = outside.own.count { !$0.isLoopback && !$0.isLinkLocal }
        if count == 0 {
            add(.fail, "addresses", "none behind the darkness", "ip addr")
        } else if lacking.isEmpty {
            add(.ok, "addresses", "\(Words.count(count, "address", "addresses")) on this dark node")
        }
        if outside.routes == 0 {
            add(.fail, "routes", "none behind the darkness", "ip route; ip -6 route")
        } else {
            let ways = outside.defaults.isEmpty ? "none" : outside.defaults.joined(separator: ", ")
            add(
                .ok, "routes",
                "\(Words.count(outside.routes, "route", "routes")); default by: \(ways)")
        }
    }
}

extension NodeCheck.Outside {
    /// Those of this machine; the namespace is the process's.
    static func ofThisMachine(syncdevs: [String], ofMaster: [HostAddress]) -> Self {
        var outside = Self()
        outside.ofMaster = ofMaster
        do throws(SystemError) {
            outside.own = try InterfaceAddress.hosts(except: syncdevs)
        } catch {
            // Without /proc or netlink the daemon would not run.
        }
        outside.read(
            ipv4: TextFile.lines("/proc/net/route", limit: limit),
            ipv6: TextFile.lines("/proc/net/ipv6_route", limit: limit), syncdevs)
        return outside
    }

    /// The most bytes of a table of routes.
    private static let limit = 1 << 24

    /// Reads the tables of routes as /proc/net/route and /proc/net/ipv6_route have them.
    mutating func read(ipv4: [Substring], ipv6: [Substring], _ syncdevs: [String]) {
        for line in ipv4.dropFirst() {
            let words = line.split(whereSeparator: \.isWhitespace)
            guard words.count >= 8 else { continue }
            add(
                String(words[0]), isDefault: words[1] == "00000000" && words[7] == "00000000",
                syncdevs)
        }
        for line in ipv6 {
            let words = line.split(whereSeparator: \.isWhitespace)
            // Link-local and multicast routes are everywhere.
            guard words.count == 10, !words[0].hasPrefix("fe80"), !words[0].hasPrefix("ff"),
                let flags = UInt32(words[8], radix: 16), flags & Self.local == 0,
                flags & Self.reject == 0
            else { continue }
            add(String(words[9]), isDefault: words[1] == "00", syncdevs)
        }
    }

    /// RTF_LOCAL, RTF_REJECT of linux/route.h and linux/ipv6_route.h.
    private static let (local, reject) = (UInt32(0x8000_0000), UInt32(0x0200))

    private mutating func add(_ device: String, isDefault: Bool, _ syncdevs: [String]) {
        guard device != "lo", !syncdevs.contains(device) else { return }
        routes += 1
        if isDefault, !defaults.contains(device) { defaults.append(device) }
    }
}

extension Node {
    /// What a check looks at beside the report.
    func facts(fileTroubles: [String]) -> NodeCheck.Facts {
        NodeCheck.Facts(
            traits: .ofThisMachine(), availableKilobytes: Self.availableKilobytes,
            outside: .ofThisMachine(
                syncdevs: configuration.syncdevs,
                ofMaster: role == .slave ? link.status.announced.addresses : []),
            rehearsal: lastRehearsal.map {
                (NodeReport.elapsed(since: $0.at, Clock.now()), $0.result)
            },
            fileTroubles: fileTroubles, reconcileSeconds: UInt64(configuration.reconcileSeconds))
    }

    private static var availableKilobytes: UInt64? {
        let line = TextFile.lines("/proc/meminfo").first { $0.hasPrefix("MemAvailable:") }
        return line.flatMap { UInt64($0.filter(\.isNumber)) }
    }
}
