// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LibraryReader
import Testing

@testable import CTSync
@testable import CTSyncTests

/// Why CTA_SECCTX is not replicated: the kernel tells it, and takes it from nobody.
@Suite(.serialized) struct SecurityContextTests {
    /// A request that makes an entry, as the daemon writes it, and with a security context.
    private func request(_ entry: Entry) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 2_048)
        let count = bytes.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return 0 }
            var writer = NetlinkWriter(base, capacity: memory.count)
            writer.beginMessage(
                NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_NEW,
                flags: NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, sequence: 1,
                family: entry.key.tuple.family.rawValue)
            _ = EntryCodec.writeCreation(
                entry, timeoutSeconds: 600, status: entry.status.union(.IPS_CONFIRMED), to: &writer)
            writer.endMessage()
            return writer.count
        }
        let name = Array("system_u:object_r:packet_t:s0".utf8) + [0]
        return Array(bytes[..<count]).adding(
            0x8000 | 19, [UInt8(name.count + 4), 0, 1, 0] + name)
    }

    @Test func theKernelTakesNoneAndMakesTheEntry() throws {
        try NetworkNamespace.run(isTracking: true) {
            let events = try RawEvents()
            let wanted = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.tcp, 1_000, 80))
            let request = request(wanted)
            #expect(try RawEvents.send(request))
            let found = try #require(try events.drain().first)
            var entry = Entry(Key(.none))
            #expect(try EntryCodec.read(found.span.bytes, into: &entry) == .new)
            #expect(entry.key == wanted.key && entry.mark == wanted.mark)
            var context = "unread"
            #expect(LibraryEntry.read(found) { context = $0.securityContext })
            #expect(context == "")
        }
    }
}
