// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync
@testable import CTSyncTests

/// Entries in a flowtable, which this kernel does not have: their events as bytes.
///
/// ctnetlink_dump of an entry with IPS_OFFLOAD leaves out CTA_TIMEOUT and CTA_PROTOINFO
/// (ctnetlink_fill_info and ctnetlink_dump_protoinfo, nf_conntrack_netlink.c).
struct OffloadedEntryTests {
    private func attribute(_ type: UInt16, _ value: [UInt8], isNest: Bool = false) -> [UInt8] {
        let length = UInt16(4 + value.count)
        let number = isNest ? type | NLA_F_NESTED : type
        let padding = [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
        return [UInt8(length & 0xFF), UInt8(length >> 8), UInt8(number & 0xFF), UInt8(number >> 8)]
            + value + padding
    }

    private func tuple(
        _ type: UInt16, _ from: [UInt8], _ to: [UInt8], _ number: UInt8, _ ports: [UInt8]
    )
        -> [UInt8]
    {
        let addresses = attribute(1, from) + attribute(2, to)
        let own =
            attribute(1, [number]) + attribute(2, Array(ports[..<2]))
            + attribute(3, Array(ports[2...]))
        return attribute(
            type, attribute(1, addresses, isNest: true) + attribute(2, own, isNest: true),
            isNest: true)
    }

    /// An UPDATE event of 10.1.0.2:40000 > 10.2.0.2:443, translated to 203.0.113.1.
    private func message(_ protocolNumber: UInt8, status: UInt32) -> [UInt8] {
        var body: [UInt8] = [2, 0, 0, 0]  // nfgenmsg: AF_INET
        body += tuple(1, [10, 1, 0, 2], [10, 2, 0, 2], protocolNumber, [0x9C, 0x40, 0x01, 0xBB])
        body += tuple(
            2, [10, 2, 0, 2], [203, 0, 113, 1], protocolNumber, [0x01, 0xBB, 0x9C, 0x40])
        body += attribute(12, [0x11, 0x22, 0x33, 0x44])  // CTA_ID
        body += attribute(3, (0..<4).map { UInt8(truncatingIfNeeded: status >> (24 - 8 * $0)) })
        body += attribute(8, [0, 0, 0, 42])  // CTA_MARK
        let length = UInt8(16 + body.count)
        return [length, 0, 0, 0, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + body
    }

    private func read(_ bytes: [UInt8]) throws -> Entry {
        var entry = Entry(Key(.none))
        let kind = try bytes.withUnsafeBytes { raw in
            try EntryCodec.read(raw.bytes, into: &entry)
        }
        #expect(kind == .update)
        return entry
    }

    @Test(arguments: [Status.IPS_OFFLOAD, [.IPS_OFFLOAD, .IPS_HW_OFFLOAD]])
    func aTCPConnectionIsMadeWhole(_ offload: Status) throws {
        let common: Status = [
            .IPS_SEEN_REPLY, .IPS_ASSURED, .IPS_CONFIRMED, .IPS_SRC_NAT, .IPS_SRC_NAT_DONE,
            .IPS_DST_NAT_DONE,
        ]
        var entry = try read(message(6, status: common.union(offload).rawValue))
        #expect(!entry.isSufficient && entry.fields == [.status, .mark, .id])
        entry.prepareForReplication()
        #expect(entry.status == common)
        #expect(entry.isSufficient && entry.timeoutSeconds == 86_400 && entry.mark == 42)
        #expect(entry.protocolInfo.state == TCPState.established)
        #expect(entry.protocolInfo.originalFlags == TCPFlag.beLiberal)
        #expect(entry.protocolInfo.replyFlags == TCPFlag.beLiberal)
        #expect(entry.isTranslated)
    }

    @Test func aUDPStreamNeedsATimeoutOnly() throws {
        let status: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED, .IPS_CONFIRMED, .IPS_OFFLOAD]
        var entry = try read(message(17, status: status.rawValue))
        entry.prepareForReplication()
        #expect(entry.isSufficient && entry.timeoutSeconds == 86_400)
        #expect(!entry.fields.contains(.protocolInfo))
        #expect(entry.status.isDisjoint(with: [.IPS_OFFLOAD, .IPS_HW_OFFLOAD]))
    }

    /// The kernel of a node without a flowtable takes it, and its first packets pass.
    @Test func aNodeWithoutFlowtableTakesIt() throws {
        try NetworkNamespace.run(isTracking: true) {
            let status: Status = [.IPS_SEEN_REPLY, .IPS_ASSURED, .IPS_CONFIRMED, .IPS_OFFLOAD]
            var entry = try read(message(6, status: status.rawValue))
            entry.prepareForReplication()
            let table = try ReplicaTable(capacity: 16, seed: 1)
            let injector = try Injector(try RequestBatch(), try EntryQuery())
            #expect(table.update(entry, isNew: false, isCopy: false, now: 1) == .applied)
            try injector.apply(table, now: 1)
            let made = try #require(try NetworkNamespace.table()[entry.key])
            #expect(made.protocolInfo.state == TCPState.established && made.reply == entry.reply)
        }
    }
}
