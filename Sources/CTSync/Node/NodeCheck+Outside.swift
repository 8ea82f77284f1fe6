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
        outside.count(Route.all(limit: limit), syncdevs)
        return outside
    }

    /// The most bytes of a table of routes.
    private static let limit = 1 << 24

    /// Counts the routes by other devices than loopback and the sync devices. Link-local and multicast ones of
    /// IPv6 are everywhere.
    mutating func count(_ all: [Route], _ syncdevs: [String]) {
        for route in all where route.device != "lo" && !syncdevs.contains(route.device) {
            if route.destination.family == .ipv6 {
                let head = route.destination.address.high >> 48
                guard head != 0xFE80, head >> 8 != 0xFF, !route.isLocal, !route.isRejecting else {
                    continue
                }
            }
            routes += 1
            if route.isDefault, !defaults.contains(route.device) { defaults.append(route.device) }
        }
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
            fileTroubles: fileTroubles,
            fileOnDisk: FileSystemKind(of: configuration.controlFile) == .other
                ? configuration.controlFile : nil,
            reconcileSeconds: UInt64(configuration.reconcileSeconds))
    }

    private static var availableKilobytes: UInt64? {
        let line = TextFile.lines("/proc/meminfo").first { $0.hasPrefix("MemAvailable:") }
        return line.flatMap { UInt64($0.filter(\.isNumber)) }
    }
}
