// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// ctnetlink messages as arrays, for tests.
enum WrittenMessages {
    /// What a codec writes after the header of a message.
    static func written(
        _ subsystem: UInt16, type: UInt16, flags: UInt16 = 0, _ family: Family,
        _ write: (inout NetlinkWriter) -> Void
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: 2_048)
        let count = bytes.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return 0 }
            var writer = NetlinkWriter(base, capacity: memory.count)
            writer.beginMessage(
                subsystem, type: type, flags: flags, sequence: 1, family: family.rawValue)
            write(&writer)
            writer.endMessage()
            return writer.count
        }
        return Array(bytes[..<count])
    }

    /// An entry as the kernel tells it in a dump: the reply tuple says how it is translated.
    static func told(_ entry: Entry) -> [UInt8] {
        written(NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_NEW, entry.key.tuple.family) { writer in
            EntryCodec.write(entry.key, to: &writer)
            let zone = entry.key.zoneDirection == .reply ? entry.key.zone : 0
            TupleCodec.write(CTA_TUPLE_REPLY, entry.reply, zone: zone, to: &writer)
            _ = EntryCodec.writeParts(
                entry, timeoutSeconds: entry.timeoutSeconds, status: entry.status, to: &writer)
            ExtrasCodec.writeCreationOnly(entry, to: &writer)
        }
    }

    /// A request that makes an expectation, which is how the kernel tells one.
    static func told(_ expectation: Expected) -> [UInt8] {
        written(
            NFNL_SUBSYS_CTNETLINK_EXP, type: IPCTNL_MSG_EXP_NEW,
            flags: NLM_F_CREATE | NLM_F_EXCL, expectation.key.tuple.family
        ) { writer in
            _ = ExpectationCodec.writeCreation(expectation, to: &writer)
        }
    }
}
