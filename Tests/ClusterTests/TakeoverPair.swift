// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

/// What the firewalls do with addresses, how traffic comes to the new master, and who replicates.
enum TakeoverSetUp: String, CaseIterable {
    /// Addresses of their own; connections are translated to the one that moves.
    case vips = "snat to the VIP"
    /// The same addresses on both; the slave is dark.
    case dark = "masquerade, l2drop"
    case ipv6 = "IPv6, masquerade, l2drop"
    case zones = "zone, masquerade, l2drop"
    /// As the first, for comparison.
    case conntrackd = "conntrackd, snat to the VIP"

    var isDark: Bool { self != .vips && self != .conntrackd }
}

/// A pair of firewalls in one of the set-ups, and a cluster manager: the test itself, or keepalived.
final class TakeoverPair {
    let cluster: Cluster
    private let setUp: TakeoverSetUp
    private let keepers: KeepalivedPair?
    private let conntrackd: ConntrackdPair?

    /// Of a datagram's entry, in seconds: short, so that a stream soon is older. Between the last packet by a
    /// node that gives way and the moment when that node holds its entries a busy machine needs some of it.
    static let datagramTimeout = 4

    private static let settings: KeyValuePairs = [
        "net.netfilter.nf_conntrack_udp_timeout": datagramTimeout,
        "net.netfilter.nf_conntrack_udp_timeout_stream": datagramTimeout,
        "net.netfilter.nf_conntrack_tcp_timeout_time_wait": 10,
        "net.ipv4.tcp_syncookies": 1,
    ]

    /// Starts the daemons, and keepalived if it is to manage them; the first firewall is master.
    init(_ setUp: TakeoverSetUp, byKeepalived: Bool) throws {
        self.setUp = setUp
        cluster = try Cluster(
            translation: setUp.isDark ? .masqueradeFullyRandom : .none, settings: Self.settings)
        do {
            for node in cluster.firewalls { try node.host.nft(Self.rules(setUp)) }
            conntrackd = setUp == .conntrackd ? try ConntrackdPair(cluster) : nil
            if byKeepalived {
                let words = conntrackd
                keepers = try KeepalivedPair(
                    cluster, isTracking: words == nil, isDark: setUp.isDark
                ) { text, node in
                    guard let words else { return text }
                    return Self.conntrackdConfiguration(text, words.script(node))
                }
            } else {
                keepers = nil
                if !setUp.isDark { try KeepalivedPair.giveOwnAddresses(cluster) }
            }
            try begin()
        } catch {
            cluster.close()
            throw error
        }
    }

    func close() {
        keepers?.stop()
        conntrackd?.stop()
        cluster.close()
    }

    /// The notify lines that conntrackd's keepalived.conf has, instead of ours.
    private static func conntrackdConfiguration(_ text: String, _ script: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap { line in
            guard line.contains("    notify \"") else { return [String(line)] }
            return [
                "    notify_master \"\(script) primary\"", "    notify_backup \"\(script) backup\"",
                "    notify_fault \"\(script) fault\"",
            ]
        }.joined(separator: "\n")
    }

    /// Helpers, SYNPROXY, and what the set-up adds.
    private static func rules(_ setUp: TakeoverSetUp) -> String {
        let port = MixedTraffic.proxiedPort
        let zone = setUp == .zones ? "iifname { lan0, wan0 } ct zone set 5" : ""
        let translation = setUp.isDark ? "" : "oifname wan0 snat ip to 10.2.0.1 fully-random"
        return """
            table inet takeovers {
                ct helper ftp { type "ftp" protocol tcp; }
                chain raw {
                    type filter hook prerouting priority raw;
                    iifname lan0 tcp dport \(port) tcp flags & (fin|syn|rst|ack) == syn notrack
                    \(zone)
                }
                chain helpers {
                    type filter hook prerouting priority -150;
                    tcp dport { 7010, 7011 } ct helper set "ftp"
                }
                chain forward {
                    type filter hook forward priority -10;
                    tcp dport 30000-30999 ct state new drop
                    tcp dport \(port) ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
                }
                chain keep {
                    type nat hook postrouting priority 99;
                    meta l4proto { 47, 132 } snat ip to 10.1.0.2
                    meta l4proto { 47, 132 } snat ip6 to fd00:1::2
                    \(translation)
                }
            }
            insert rule inet filter invalid iifname lan0 tcp dport \(port) accept
            """
    }

    private func begin() throws {
        for index in [0, 1] { try startReplication(index) }
        if setUp.isDark {
            try cluster.learnAddresses()
            try cluster.plug(cluster.firewalls[1])
        }
        if let keepers {
            try keepers.start(0)
            try keepers.waitForParent(0, replication)
            try keepers.start(1)
        } else {
            try promote(0)
        }
        if conntrackd == nil { try cluster.waitInSync() } else { pause(2) }
    }

    private var replication: Replication { conntrackd == nil ? .on : .off }

    private func startReplication(_ index: Int) throws {
        if let conntrackd { return try conntrackd.start(index) }
        try cluster.firewalls[index].start(
            role: .slave, setUp.isDark ? ["--l2drop", "1"] : [])
    }

    /// Gives a node its role; the addresses stay where they are.
    func order(_ index: Int, _ role: NodeRole) throws {
        if let conntrackd {
            return try conntrackd.tell(index, role == .master ? "primary" : "backup")
        }
        let node = cluster.firewalls[index]
        try node.write(role == .master ? "1\n" : "0\n")
        try node.waitForRole(role)
    }

    // MARK: What a manager does

    /// Makes a node the master, and moves the addresses to it.
    func promote(_ index: Int) throws {
        try order(index, .master)
        if !setUp.isDark { try moveAddresses(to: index) }
    }

    /// Takes the addresses from the other node, and tells the neighbours.
    func moveAddresses(to index: Int) throws {
        try takeAddresses(from: 1 - index, to: index)
    }

    /// Takes its addresses from a node, and makes it a slave.
    func demote(_ index: Int) throws {
        if !setUp.isDark { try takeAddresses(from: index, to: nil) }
        try order(index, .slave)
    }

    private static let addresses = [("lan0", "10.1.0.1/24"), ("wan0", "10.2.0.1/24")]

    private func takeAddresses(from old: Int, to new: Int?) throws {
        for (device, address) in Self.addresses {
            // It may be gone, or the device down.
            try? cluster.firewalls[old].host.ip("addr del \(address) dev \(device)")
        }
        guard let new else { return }
        for (device, address) in Self.addresses {
            try cluster.firewalls[new].host.ip("addr replace \(address) dev \(device)")
        }
        // What gratuitous ARP does.
        for host in [cluster.client, cluster.server] { try host.ip("neigh flush dev eth0") }
    }

    // MARK: What happens to nodes

    /// The daemon is killed and all links go down.
    func crash(_ index: Int) throws {
        conntrackd?.kill(index)
        try cluster.crash(cluster.firewalls[index])
    }

    /// The daemon is killed and starts again, with an empty table.
    func startEmpty(_ index: Int) throws {
        let node = cluster.firewalls[index]
        conntrackd?.kill(index)
        node.kill()
        try node.flush()
        try startReplication(index)
    }

    /// The node goes away in order and comes back with an empty table.
    func reboot(_ index: Int) throws {
        let node = cluster.firewalls[index]
        conntrackd?.kill(index)
        try node.stop()
        try node.linksDown()
        try node.flush()
        pause(0.5)
        try node.linksUp()
        try startReplication(index)
        if let conntrackd {
            try conntrackd.tell(index, "backup")
            pause(2)
        } else {
            try cluster.waitInSync()
        }
    }

    /// Nobody hears a node any more.
    func isolate(_ index: Int) throws {
        try cluster.unplug(cluster.firewalls[index])
        try cluster.cutSync(cluster.firewalls[index])
    }

    /// It is heard again; a manager that has seen both makes it a standby.
    func heal(_ index: Int) throws {
        let node = cluster.firewalls[index]
        try cluster.restoreSync(node)
        if !setUp.isDark { try takeAddresses(from: index, to: nil) }
        try cluster.plug(node)
        if conntrackd == nil {
            try node.waitForRole(.slave)
            try cluster.waitInSync()
        } else {
            try order(index, .slave)
        }
    }

    func stopManager(_ index: Int) throws {
        try keepers?.stop(index)
        try keepers?.waitForParent(1 - index, replication)
    }

    func killManager(_ index: Int) throws {
        try keepers?.kill(index)
        try keepers?.waitForParent(1 - index, replication)
    }
}
