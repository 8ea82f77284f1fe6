// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Testing

@testable import CTSync

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
                entry.mark ^= UInt32(index + 1) &* 0x0101_0101
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

    /// Has the entries with a helper expect connections, with every attribute; how many.
    static func expect(_ firewall: Firewall) throws -> Int {
        let helped = try table(firewall).values.filter { $0.fields.contains(.helper) }
        let expectations = helped.flatMap { control in
            // The helper for FTP may expect one at a time.
            (0..<("\(control.extras.helper)" == "sip" ? 4 : 1)).map { expectation(of: control, $0) }
        }
        try firewall.host.inside {
            let batch = try RequestBatch()
            for (index, each) in expectations.enumerated() {
                _ = batch.create(each, tag: UInt32(index))
            }
            try batch.send { tag, number in
                Issue.record("errno \(number) for \(expectations[Int(tag)])")
            }
        }
        return expectations.count
    }

    private static func expectation(of control: Entry, _ number: Int) -> CTSync.Expectation {
        let full = Address(ipv4: .max)
        var tuple = control.key.tuple.inverse
        tuple.sourcePort = 0
        tuple.destinationPort = 3000 + UInt16(number) + control.key.tuple.sourcePort % 10 * 10
        var expectation = CTSync.Expectation(Key(tuple))
        expectation.mask = Tuple(
            family: .ipv4, protocolNumber: tuple.protocolNumber, source: full,
            destination: number == 3 ? Address(ipv4: 0xFFFF_FF00) : full, sourcePort: 0,
            destinationPort: .max)
        expectation.parent = control.key.tuple
        expectation.timeoutSeconds = UInt32(200 + number)
        expectation.helper = control.extras.helper
        expectation.policyClass = UInt32(number)
        if number > 0 { expectation.flags = CTSync.Expectation.NF_CT_EXPECT_PERMANENT }
        if number > 1 { expectation.flags |= CTSync.Expectation.NF_CT_EXPECT_INACTIVE }
        guard number % 2 == 0 else { return expectation }
        expectation.isTranslated = true
        expectation.translationDirection = number == 0 ? 1 : 0
        expectation.translation = control.key.tuple
        expectation.translation.destination = .any
        expectation.translation.sourcePort = 7777
        expectation.translation.destinationPort = 0
        let name = Array("nat-follow-master".utf8)
        let function = name.withUnsafeBytes { ExpectFunctionName($0.bytes) }
        expectation.function = function ?? ExpectFunctionName()
        return expectation
    }
}
