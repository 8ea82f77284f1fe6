// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import ClusterSupport
import Testing

/// What is done with the entries of every kind.
extension FidelityCases {
    /// The test's entries of the table as ctnetlink says it, by tuple and zone.
    static func table(_ firewall: Firewall) throws -> [Key: Entry] {
        try firewall.host.inside {
            let dump = try TableDump()
            var entries: [Key: Entry] = [:]
            try dump.start()
            while try dump.step({ (each: borrowing Entry) in
                let entry = copy each
                let isTest =
                    [0x0A01_004D, 0x77].contains(entry.key.tuple.source.low)
                if isTest { entries[entry.key] = entry }
            }) {}
            return entries
        }
    }

    /// Makes all on the first firewall; how many.
    static func make(_ cluster: Cluster) throws -> Int {
        // Labels and helpers are a matter of rules: both nodes have the same.
        for firewall in cluster.firewalls {
            try firewall.host.nft(
                "table inet uses { chain labels { ct label set 1 accept; }; }")
        }
        let first = cluster.firewalls[0]
        for words in byProgram {
            do {
                try first.host.run(["conntrack", "-I"] + words)
            } catch {
                Issue.record("\(error)")
            }
        }
        let count = try makeByLibrary(in: first.host)
        return byProgram.count + count
    }

    /// Changes each entry in every way that ctnetlink allows for it.
    static func change(_ firewall: Firewall) throws {
        let entries = try table(firewall)
        try firewall.host.inside {
            let batch = try RequestBatch()
            for (index, before) in entries.values.enumerated() {
                var entry = before
                entry.mark = UInt32(index) &* 0x0101_0101
                entry.status.formUnion([.IPS_SEEN_REPLY, .IPS_ASSURED])
                if entry.key.tuple.protocolNumber == ProtocolNumber.tcp {
                    entry.protocolInfo.state = entry.protocolInfo.state % 8 + 1
                }
                if entry.key.tuple.protocolNumber == ProtocolNumber.sctp {
                    entry.protocolInfo.state = 4
                    entry.protocolInfo.originalTag &+= 5
                    entry.protocolInfo.replyTag &+= 5
                }
                entry.extras.labelsLow ^= 0b110
                entry.extras.labelsHigh = 1
                entry.extras.originalAdjustment.offsetAfter &+= 9
                entry.extras.synproxyISN &+= 1
                _ = batch.update(entry, timeoutSeconds: 700, tag: UInt32(index))
            }
            let all = Array(entries.values)
            try batch.send { tag, number in
                Issue.record("errno \(number) for \(all[Int(tag)])")
            }
        }
    }
}
