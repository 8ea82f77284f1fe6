// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Asks the kernel for single entries: for cold paths, one system call pair each.
package final class EntryQuery {
    private static let bufferBytes = 8 * 1024
    private let memory: MappedMemory
    private let socket: LateDescriptor
    private var sequence: UInt32 = 0

    /// Takes the memory and opens the socket.
    ///
    /// - Throws: `SystemError` of mmap(2), socket(2) or setsockopt(2).
    package init() throws(SystemError) {
        memory = try MappedMemory(byteCount: Self.bufferBytes)
        let socket = try LateDescriptor("netlink socket") {
            ctsync_netlink_open(NETLINK_NETFILTER, 0)
        }
        let raw = socket.raw
        try retrying("NETLINK_CAP_ACK") { ctsync_netlink_short_errors(raw) }
        self.socket = socket
    }

    /// The entry of this key as the kernel has it now, or nil.
    ///
    /// - Throws: `SystemError` of the calls, or of the kernel's answer but for ENOENT.
    package func entry(_ key: borrowing Key) throws(SystemError) -> Entry? {
        var writer = begin(key.tuple.family)
        EntryCodec.write(key, to: &writer)
        return try ask(&writer)
    }

    /// The entry that has the reply tuple of this one, in either direction, or nil.
    ///
    /// - Throws: the same.
    func entry(withReplyOf entry: borrowing Entry) throws(SystemError) -> Entry? {
        let key = entry.key
        var writer = begin(key.tuple.family)
        if key.zone != 0, key.zoneDirection == .both { writer.put(CTA_ZONE, key.zone) }
        TupleCodec.write(
            CTA_TUPLE_REPLY, entry.reply, zone: key.zoneDirection == .reply ? key.zone : 0,
            to: &writer)
        return try ask(&writer)
    }

    private func begin(_ family: Family) -> NetlinkWriter {
        sequence &+= 1
        var writer = NetlinkWriter(memory.base, capacity: Self.bufferBytes)
        writer.beginMessage(
            NFNL_SUBSYS_CTNETLINK, type: IPCTNL_MSG_CT_GET, flags: NLM_F_REQUEST,
            sequence: sequence, family: family.rawValue)
        return writer
    }

    private func ask(_ writer: inout NetlinkWriter) throws(SystemError) -> Entry? {
        writer.endMessage()
        let length = writer.count
        try retrying("send of a conntrack query") {
            send(socket.raw, memory.base, length, 0)
        }
        // The answer is queued when send returns; answers to earlier queries are stepped over.
        while true {
            let length = try retrying("recv of a conntrack entry") {
                recv(socket.raw, memory.base, Self.bufferBytes, 0)
            }
            let bytes = UnsafeRawBufferPointer(start: memory.base, count: length).bytes
            guard length >= NLMSG_HDRLEN, bytes.hostUInt32(at: 8) == sequence else { continue }
            return try read(bytes)
        }
    }

    private func read(_ bytes: RawSpan) throws(SystemError) -> Entry? {
        var entry = Entry(Key(.none))
        do throws(NetlinkError) {
            switch try EntryCodec.read(bytes, into: &entry) {
            case .new, .update: return entry
            default:
                let number = try bytes.errorNumber(at: 0)
                if number == ENOENT { return nil }
                throw .kernel(number)
            }
        } catch {
            if case .kernel(let number) = error {
                throw SystemError("query of a conntrack entry", errno: number)
            }
            throw SystemError("query of a conntrack entry: \(error)", errno: EBADMSG)
        }
    }
}
