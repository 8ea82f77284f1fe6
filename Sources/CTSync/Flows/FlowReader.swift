// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The conntrack events of this namespace for a person or a log, and how many of them were missed.
///
/// The kernel drops what the socket's buffer has no room for, says so once (ENOBUFS), and from then on
/// drops everything until the buffer is empty. How many they were stands in /proc/net/netlink, and is
/// read when that is over.
final class FlowReader {
    private let socket: EventSocket
    private let criteria: ReplicationRule
    private var entry = Entry(Key(.none))
    /// Whether the kernel has begun to drop events and may go on.
    private var isCongested = false

    /// Events that were dropped since the start.
    private(set) var missed: UInt64 = 0
    /// Messages that were none of the kernel's, since the start.
    private(set) var malformed: UInt64 = 0

    /// Subscribes to the events of the connections that these criteria hold for.
    ///
    /// - Throws: `SystemError`; EPERM without CAP_NET_ADMIN.
    init(_ criteria: ReplicationRule, bufferBytes: Int) throws(SystemError) {
        self.criteria = criteria
        socket = try EventSocket(receiveBufferBytes: bufferBytes)
        // What the kernel cannot decide is decided here.
        guard let filter = SocketFilter([criteria]) else { return }
        do throws(SystemError) {
            try socket.attach(filter)
        } catch {
            guard error.errno != EPERM else { throw error }
        }
    }

    /// What to poll for POLLIN.
    var raw: CInt { socket.raw }

    /// Calls of recvmmsg(2) before the lines made of them are written.
    private static let callLimit = 64

    /// Hands over what has happened to connections since the last call, some 4,000 events at most.
    ///
    /// - Throws: `SystemError` of recvmmsg(2).
    func drain(_ body: (FlowEvent) -> Void) throws(SystemError) {
        for _ in 0..<Self.callLimit {
            let time = Clock.wallMicroseconds()
            let drain = try socket.receiveDatagrams { datagram in
                read(datagram, time, body)
            }
            isCongested = isCongested || drain.overrun
            guard drain.isDrained else { continue }
            if isCongested { countMissed() }
            isCongested = false
            return
        }
    }

    private func read(_ datagram: RawSpan, _ time: UInt64, _ body: (FlowEvent) -> Void) {
        if datagram.isEmpty { malformed += 1 }
        var offset = 0
        while offset < datagram.byteCount {
            let message = datagram.extracting(offset..<datagram.byteCount)
            do throws(NetlinkError) {
                let kind = try EntryCodec.read(message, into: &entry)
                if let kind = FlowEventKind(kind), criteria.holds(for: entry) {
                    body(
                        FlowEvent(
                            kind: kind, time: time, entry: entry,
                            accounting: kind == .end ? Accounting(message) : Accounting(),
                            portID: message.hostUInt32(at: 12)))
                }
            } catch {
                malformed += 1
            }
            guard let next = datagram.nextMessage(after: offset) else { return }
            offset = next
        }
    }

    /// At least one, even if the kernel does not say how many.
    private func countMissed() {
        missed = max(missed + 1, drops() ?? 0)
    }

    /// The kernel's count of this socket's drops.
    private func drops() -> UInt64? {
        var status = stat()
        guard fstat(socket.raw, &status) == 0 else { return nil }
        do throws(SystemError) {
            let table = try TextFile.read("/proc/thread-self/net/netlink", limit: 4 << 20)
            return Self.drops(inode: UInt64(status.st_ino), table)
        } catch {
            return nil
        }
    }

    /// The column Drops of the line with this inode.
    ///
    /// Source: netlink_native_seq_show, net/netlink/af_netlink.c.
    static func drops(inode: UInt64, _ table: String) -> UInt64? {
        for line in table.split(separator: "\n") {
            let columns = line.split(separator: " ")
            guard columns.count == 10, UInt64(columns[9]) == inode else { continue }
            return UInt64(columns[8])
        }
        return nil
    }
}
