// SPDX-License-Identifier: GPL-2.0-or-later

// A second client, and for some a second server, with the very addresses of the first: what the
// firewalls tell apart by conntrack zones alone. They have devices of their own on each firewall
// (lan1, wan1), with the addresses of lan0 and wan0.

/// A client and a server whose addresses are those of a `Cluster`'s.
package final class Tenant: Sendable {
    package let client: Namespace
    /// The cluster's own where the uplink is shared.
    package let server: Namespace
    private let cluster: Cluster
    private let segments: [String]

    /// Builds it and joins the first firewall to it.
    ///
    /// - Parameter hasUplink: whether it has a server, and wan1, of its own.
    package init(in cluster: Cluster, hasUplink: Bool) throws {
        self.cluster = cluster
        segments = hasUplink ? ["lan", "wan"] : ["lan"]
        let run = String(cluster.client.name.dropLast("-client".count))
        client = try Namespace(run: run, role: "client1")
        server = hasUplink ? try Namespace(run: run, role: "server1") : cluster.server
        for (number, segment) in segments.enumerated() {
            try wire(segment, to: number == 0 ? client : server, number: number + 1)
        }
        for firewall in cluster.firewalls {
            // What comes from the tenant goes to the tenant: by device, or by a mark.
            var lines = "rule add iif lan1 lookup 101\nroute add 10.1.0.0/24 dev lan1 table 101\n"
            if hasUplink {
                lines += "rule add iif wan1 lookup 101\nroute add 10.2.0.0/24 dev wan1 table 101"
            } else {
                lines += "rule add fwmark 2 lookup 101\nroute add 10.2.0.0/24 dev wan0 table 101"
            }
            try firewall.host.ip(lines)
        }
        try plug(cluster.firewalls[0])
    }

    deinit { close() }

    /// Removes its hosts; the cluster's go with the cluster.
    package func close() {
        client.close()
        if server !== cluster.server { server.close() }
    }

    private func wire(_ segment: String, to host: Namespace, number: Int) throws {
        let bridge = "\(segment)1"
        var lines = """
            link add \(bridge) type bridge ageing_time 0 forward_delay 0
            link add \(bridge)-host type veth peer name eth0 netns \(host.name)
            link set \(bridge) up
            link set \(bridge)-host up
            link set \(bridge)-host master \(bridge)

            """
        for firewall in cluster.firewalls {
            lines += """
                link add \(bridge)-\(firewall.name) type veth peer name \(bridge) \
                address 02:c7:00:01:0\(number):00 netns \(firewall.host.name)
                link set \(bridge)-\(firewall.name) up

                """
        }
        try cluster.wiring.ip(lines)
        try host.ip(
            """
            link set eth0 up
            addr add 10.\(number).0.2/24 dev eth0
            route add default via 10.\(number).0.1
            """)
        for firewall in cluster.firewalls {
            try firewall.host.ip(
                "link set \(bridge) up\naddr add 10.\(number).0.1/24 dev \(bridge) noprefixroute")
        }
    }

    /// Joins a firewall's ports to its segments.
    package func plug(_ firewall: Firewall) throws {
        for segment in segments {
            try cluster.wiring.ip("link set \(segment)1-\(firewall.name) master \(segment)1")
        }
    }

    /// Takes them off.
    package func unplug(_ firewall: Firewall) throws {
        for segment in segments {
            try cluster.wiring.ip("link set \(segment)1-\(firewall.name) nomaster")
        }
    }
}
