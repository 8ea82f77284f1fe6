// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// What no kernel takes is replaced by something that it does, and counted; what it takes is not.
@Suite struct KernelRangeTests {
    /// Writes a creation and reads it back; with it, whether something was replaced.
    private func written(_ entry: Entry) throws -> (ProtocolInfo, Bool) {
        var isReplaced = false
        let message = WrittenMessages.written(
            NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_NEW, entry.key.tuple.family
        ) { writer in
            isReplaced = EntryCodec.writeCreation(
                entry, timeoutSeconds: 60, status: [], to: &writer)
        }
        return (try GuardedPage().read(message).1.protocolInfo, isReplaced)
    }

    private func tcp(_ state: UInt8, _ scales: UInt8) -> Entry {
        SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 1, 2)) {
            $0.protocolInfo.state = state
            $0.protocolInfo.windowScales = scales
            $0.protocolInfo.replyFlags = TCPFlag.windowScale
        }
    }

    @Test func everyTCPStateAndScale() throws {
        for state in 0...UInt8.max {
            let (info, isReplaced) = try written(tcp(state, 0x7A))
            #expect(info.state == (state <= 9 ? state : TCPState.established))
            #expect(isReplaced == (state > 9) && info.windowScales == 0x7A)
        }
        for scales in 0...UInt8.max {
            let (info, isReplaced) = try written(tcp(TCPState.established, scales))
            let (original, reply) = (min(scales >> 4, 14), min(scales & 15, 14))
            #expect(info.windowScales == original << 4 | reply)
            #expect(isReplaced == (scales >> 4 == 15 || scales & 15 == 15))
        }
    }

    @Test func everySCTPState() throws {
        for state in 0...UInt8.max {
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.sctp, 1, 2)) {
                $0.protocolInfo.state = state
                $0.protocolInfo.windowScales = 0xFF  // none of SCTP's
            }
            let (info, isReplaced) = try written(entry)
            #expect(info.state == (state <= 8 ? state : 4))
            #expect(info.originalTag == entry.protocolInfo.originalTag)
            #expect(isReplaced == (state > 8))
        }
    }

    @Test func otherProtocolsHaveNoState() throws {
        let udp = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, 1, 2)) {
            $0.protocolInfo.state = 99
            $0.fields.insert(.protocolInfo)
        }
        let (info, isReplaced) = try written(udp)
        #expect(info == ProtocolInfo() && !isReplaced)
    }

    @Test(
        arguments: [
            // Flags, direction; as written, whether replaced.
            (0, 0, 0, 0, false), (7, 1, 7, 1, false), (8, 0, 0, 0, true), (15, 1, 7, 1, true),
            (.max, 0, 7, 0, true), (0, 2, 0, 1, true), (1, 255, 1, 1, true),
        ] as [(UInt32, UInt8, UInt32, UInt8, Bool)])
    func flagsAndDirectionOfAnExpectation(
        _ flags: UInt32, _ direction: UInt8, _ writtenFlags: UInt32, _ writtenDirection: UInt8,
        _ isWrittenReplaced: Bool
    ) throws {
        var expectation = SampleExpectations.largest
        expectation.flags = flags
        expectation.translationDirection = direction
        var isReplaced = false
        let message = WrittenMessages.written(
            NFNL_SUBSYS_CTNETLINK_EXP, type: IPCTNL_MSG_EXP_NEW, .ipv6
        ) { writer in
            isReplaced = ExpectationCodec.writeCreation(expectation, to: &writer)
        }
        let read = try GuardedPage().readExpectation(message)
        #expect(read.flags == writtenFlags && read.translationDirection == writtenDirection)
        #expect(isReplaced == isWrittenReplaced)
    }
}
