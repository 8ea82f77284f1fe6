// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync
@testable import CTSyncTests

/// A connection that is replicated while it is being opened keeps its window scale.
@Suite(.serialized)
struct WindowScaleTests {
    private static let client = Address(ipv4: 0x7F00_0001)
    private static let server = Address(ipv4: 0x7F00_0002)

    private var opening: Entry {
        let tuple = Tuple(
            family: .ipv4, protocolNumber: ProtocolNumber.tcp, source: Self.client,
            destination: Self.server, sourcePort: 1_000, destinationPort: 2_000)
        return SampleEntries.entry(tuple, []) {
            $0.protocolInfo.state = TCPState.synSent
            $0.protocolInfo.originalFlags = TCPFlag.windowScale | TCPFlag.sackPermitted
            $0.protocolInfo.replyFlags = 0
            $0.protocolInfo.windowScales = 0x70
        }
    }

    private func segment(
        ports: [UInt8], sequence: [UInt8], flags: UInt8, _ options: [UInt8]
    ) -> [UInt8] {
        let acknowledged: [UInt8] = flags & 0x10 != 0 ? [0, 0, 0x20, 1] : [0, 0, 0, 0]
        let length = UInt8(20 + options.count) << 2
        // Then window, checksum and urgent pointer.
        let rest: [UInt8] = [length, flags, 0xFF, 0xFF, 0, 0, 0, 0]
        return ports + sequence + acknowledged + rest + options
    }

    /// The kernel takes a SYN/ACK for invalid when it has not seen the SYN (its td_end is 0, and no
    /// attribute sets it): a client whose SYN was seen by the old master only sends it once more.
    private func open(answering options: [UInt8]) throws {
        let client: [UInt8] = [0x03, 0xE8, 0x07, 0xD0]
        let syn = segment(ports: client, sequence: [0, 0, 0x20, 0], flags: 0x02, [3, 3, 7, 0])
        try NetworkNamespace.sendRaw(
            ProtocolNumber.tcp, syn, from: 0x7F00_0001, to: 0x7F00_0002)
        let server: [UInt8] = [0x07, 0xD0, 0x03, 0xE8]
        let answer = segment(ports: server, sequence: [0, 0, 0x10, 0], flags: 0x12, options)
        try NetworkNamespace.sendRaw(
            ProtocolNumber.tcp, answer, from: 0x7F00_0002, to: 0x7F00_0001)
    }

    private func afterSynAck(_ options: [UInt8]) throws -> ProtocolInfo {
        var result = ProtocolInfo()
        try NetworkNamespace.run(isTracking: true) {
            // No socket is there to take it; what would answer it must not.
            _ = try Nftables().run(
                """
                table inet quiet {
                    chain input {
                        type filter hook prerouting priority -400; tcp sport 2000 drop
                        tcp dport 2000 drop
                    }
                }
                """)
            let batch = try RequestBatch()
            #expect(batch.create(opening, timeoutSeconds: 60, tag: 1))
            try batch.send { Issue.record("\($0) \($1)") }
            let query = try EntryQuery()
            let made = try #require(try query.entry(opening.key)).protocolInfo
            #expect(made.windowScales == 0x70, "the kernel took the scale")
            #expect(made.originalFlags & made.replyFlags & TCPFlag.windowScale != 0)
            try open(answering: options)
            result = try #require(try query.entry(opening.key)).protocolInfo
            #expect(result.state == TCPState.synRecv)
        }
        return result
    }

    @Test func answerWithScaleSetsTheServersScale() throws {
        let info = try afterSynAck([3, 3, 5, 0])  // window scale 5
        #expect(info.windowScales == 0x75)
        #expect(info.originalFlags & info.replyFlags & TCPFlag.windowScale != 0)
    }

    @Test func answerWithoutScaleTurnsScalingOff() throws {
        let info = try afterSynAck([2, 4, 5, 0xB4])  // maximum segment size only
        #expect(info.windowScales == 0)
        #expect(info.replyFlags & TCPFlag.windowScale == 0)
    }
}
