// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Other people's rules, before, during and after the drop.
@Suite(.serialized) struct ForeignRulesTests {
    private static let foreign = """
        set -e
        nft add table netdev theirs
        nft 'add chain netdev theirs in { type filter hook ingress device eth0 priority 0; }'
        nft add rule netdev theirs in ether type arp counter
        nft add table inet theirs
        nft 'add chain inet theirs ct_sync_l2drop { type filter hook input priority 0; }'
        nft add rule inet theirs ct_sync_l2drop tcp dport 22 accept
        for p in iptables ip6tables; do
            $p -t raw -A PREROUTING -i eth0 -j ACCEPT
            $p -t raw -A OUTPUT -o eth0 -j ACCEPT
            $p -t mangle -A POSTROUTING -o eth0 -j ACCEPT
            $p -N theirs; $p -A theirs -p udp -j DROP; $p -A INPUT -j theirs
        done
        arptables -N theirs; arptables -A theirs -i eth0 -j ACCEPT; arptables -A INPUT -j theirs
        arptables -P OUTPUT ACCEPT
        ebtables -A FORWARD -i eth1 -j ACCEPT; ebtables -A INPUT -i eth1 -j ACCEPT
        ebtables -A OUTPUT -o eth1 -j ACCEPT
        """

    /// What the programs and nftables show, without counts, dates and what is ours.
    private func rules(_ hosts: TwoHosts) throws -> [String] {
        try hosts.inNode {
            var lines: [String] = []
            for program in ["iptables", "ip6tables", "arptables", "ebtables"] {
                let path = try #require(ChildProcess.find("\(program)-save"))
                lines += try ChildProcess.run(path, []).output.split(separator: "\n")
                    .map(String.init)
                    .filter { !$0.hasPrefix("#") && !$0.contains("ct_sync_l2drop") }
                    .map { $0.split(separator: "[")[0].description }
            }
            let nft = try #require(ChildProcess.find("nft"))
            for line in try ChildProcess.run(nft, ["list", "tables"]).output.split(separator: "\n")
            where !line.contains("ct_sync_l2drop") {
                let table = line.split(separator: " ").dropFirst().map(String.init)
                lines += try ChildProcess.run(nft, ["-s", "list", "table"] + table).output
                    .split(separator: "\n").map(String.init)
            }
            return lines
        }
    }

    /// The same without the chains and jumps that the tables backend has put among them.
    private func withoutOurs(_ lines: [String]) -> [String] {
        var result: [String] = []
        var isOurs = false
        for line in lines {
            if line.contains("chain ct_sync_l2drop_") { isOurs = true }
            if !isOurs && !line.contains("jump ct_sync_l2drop_") { result.append(line) }
            if isOurs && line == "\t}" { isOurs = false }
        }
        return result.filter { !$0.isEmpty }
    }

    @Test(arguments: [L2DropChoice.netdev, .tables])
    func areNeverTouched(_ backend: L2DropChoice) throws {
        let hosts = try TwoHosts()
        try hosts.inNode { try NetworkNamespace.shell(Self.foreign) }
        let captures = try hosts.captures(["w0", "w1"])
        try hosts.talk(seconds: 1)
        let before = try rules(hosts)
        #expect(before.count > 60)
        do {
            let killed = try hosts.inNode { try L2Drop(syncdev: "sync", backend: backend) }
            try hosts.inNode { try killed.raise() }
        }
        #expect(withoutOurs(try rules(hosts)) == withoutOurs(before))
        for capture in captures { _ = try capture.take() }
        // Their accepting rules come later than ours.
        try hosts.talk(seconds: 1)
        let second = try hosts.inNode { try L2Drop(syncdev: "sync", backend: backend) }
        #expect(try hosts.inNode { try second.adopt() })
        try hosts.talk(seconds: 1)
        for capture in captures { #expect(try capture.take().isEmpty) }
        #expect(withoutOurs(try rules(hosts)) == withoutOurs(before))
        try hosts.inNode { try second.lift() }
        #expect(try rules(hosts) == before)
        // Its owner is gone: the tables are anybody's.
        do {
            let third = try hosts.inNode { try L2Drop(syncdev: "sync", backend: backend) }
            try hosts.inNode { try third.raise() }
        }
        try hosts.inNode {
            try L2Drop.off()
            try second.lift()
        }
        #expect(try rules(hosts) == before)
    }
}
