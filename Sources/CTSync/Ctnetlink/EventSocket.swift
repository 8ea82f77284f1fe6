// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
internal import CNetfilterConntrack
import Glibc

/// The conntrack events of this network namespace.
///
/// The kernel sends every event as a datagram of its own; `receive` takes up to 64 with one system
/// call into memory taken at the start. One thread uses it. When the socket's buffer is full the
/// kernel drops events and says so with ENOBUFS, here `EventDrain.overrun`.
package final class EventSocket {
    private let handle: OpaquePointer
    private let batch: DatagramBatch
    private var entry = Entry(Key(.none))
    private var expectation = Expectation(Key(.none))

    /// Messages that were none of the kernel's, since the start.
    private(set) var malformed: UInt64 = 0
    /// nlmsg_pid of the message that is being handed out.
    private(set) var causedBy: UInt32 = 0
    /// Whether this process has caused it.
    var isOwnDoing: Bool { OwnPorts.contains(causedBy) }
    /// The buffer's size in bytes as the kernel settled it: twice what was asked.
    package let receiveBufferBytes: Int

    /// What to poll for POLLIN.
    package let raw: CInt

    /// Opens the socket and subscribes to new, changed and destroyed entries.
    ///
    /// - Parameters:
    ///   - receiveBufferBytes: asked with SO_RCVBUFFORCE, so past net.core.rmem_max.
    ///   - expectations: also new and destroyed expectations.
    ///   - begins: new ones at all.
    /// - Throws: `SystemError` of the calls beneath nfct_open.
    package init(
        receiveBufferBytes: Int, expectations: Bool = false, begins: Bool = true
    ) throws(SystemError) {
        var groups = NF_NETLINK_CONNTRACK_UPDATE | NF_NETLINK_CONNTRACK_DESTROY
        if begins { groups |= NF_NETLINK_CONNTRACK_NEW }
        if expectations {
            groups |= NF_NETLINK_CONNTRACK_EXP_DESTROY
            if begins { groups |= NF_NETLINK_CONNTRACK_EXP_NEW }
        }
        let batch = try DatagramBatch()
        guard let handle = nfct_open(UInt8(NFNL_SUBSYS_CTNETLINK), groups) else {
            throw SystemError("nfct_open", errno: errno)
        }
        do throws(SystemError) {
            let descriptor = nfct_fd(handle)
            raw = descriptor
            try retrying("fcntl") { ctsync_set_private_non_blocking(descriptor) }
            let asked = CInt(clamping: receiveBufferBytes)
            let settled = try retrying("receive buffer of \(asked) bytes") {
                ctsync_set_receive_buffer(descriptor, asked)
            }
            self.receiveBufferBytes = Int(settled)
        } catch {
            nfct_close(handle)
            throw error
        }
        self.handle = handle
        self.batch = batch
    }

    /// Its last close is left to nobody who waits: see `LateDescriptor`.
    deinit {
        let last = fcntl(raw, F_DUPFD_CLOEXEC, 0)
        nfct_close(handle)
        if last >= 0 { ctsync_close_later(last) }
    }

    /// Hears no more of what begins, and what packets change.
    ///
    /// - Throws: `SystemError` of setsockopt(2); it is heard on then.
    func endBegins() throws(SystemError) {
        try attach(SocketFilter(droppingCausesOf: OwnPorts.all))
        for group in [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_EXP_NEW] {
            try retrying("NETLINK_DROP_MEMBERSHIP") {
                ctsync_leave_netlink_group(raw, CInt(group.rawValue))
            }
        }
    }

    /// Lets the kernel drop what the filter's program refuses.
    ///
    /// - Throws: `SystemError` of setsockopt(2); everything is received then.
    func attach(_ filter: borrowing SocketFilter) throws(SystemError) {
        let program = filter.program
        try retrying("SO_ATTACH_FILTER") {
            ctsync_attach_filter(raw, program, UInt16(program.count))
        }
    }

    /// Takes up to 64 events with one system call and hands each to the body, in order.
    ///
    /// The entry is only for `new`, `update` and `destroy`, and valid during the call of the body.
    ///
    /// - Parameter expected: called instead for `expectNew` and `expectDestroy`.
    /// - Throws: `SystemError` of recvmmsg(2), but not for ENOBUFS and EAGAIN.
    package func receive(
        _ body: (CtnetlinkKind, borrowing Entry) -> Void,
        expected: (CtnetlinkKind, borrowing Expectation) -> Void
    ) throws(SystemError) -> EventDrain {
        var drain = EventDrain()
        let count: Int
        do throws(SystemError) {
            count = try batch.receive(from: raw)
        } catch {
            guard error.errno == ENOBUFS else { throw error }
            drain.overrun = true
            return drain
        }
        for index in 0..<count {
            drain.messages += read(batch[index], body, expected)
        }
        drain.isDrained = count < DatagramBatch.capacity
        return drain
    }

    /// The same where expectations are not looked at: the body is called with their kind only.
    package func receive(
        _ body: (CtnetlinkKind, borrowing Entry) -> Void
    ) throws(SystemError) -> EventDrain {
        try receive(body, expected: { kind, _ in body(kind, Entry(Key(.none))) })
    }

    /// Takes up to 64 datagrams with one system call and hands each to the body as it came.
    ///
    /// - Throws: `SystemError` of recvmmsg(2), but not for ENOBUFS and EAGAIN.
    func receiveDatagrams(_ body: (RawSpan) -> Void) throws(SystemError) -> EventDrain {
        var drain = EventDrain()
        do throws(SystemError) {
            drain.messages = try batch.receive(from: raw)
        } catch {
            guard error.errno == ENOBUFS else { throw error }
            drain.overrun = true
            return drain
        }
        for index in 0..<drain.messages { body(batch[index].bytes) }
        drain.isDrained = drain.messages < DatagramBatch.capacity
        return drain
    }

    /// Reads a datagram's messages; how many it had.
    private func read(
        _ datagram: UnsafeRawBufferPointer, _ body: (CtnetlinkKind, borrowing Entry) -> Void,
        _ expected: (CtnetlinkKind, borrowing Expectation) -> Void
    ) -> Int {
        let bytes = datagram.bytes
        if bytes.isEmpty { malformed &+= 1 }
        var messages = 0
        var offset = 0
        while offset < bytes.byteCount {
            do throws(NetlinkError) {
                let message = bytes.extracting(offset..<bytes.byteCount)
                let kind = try EntryCodec.read(message, into: &entry)
                causedBy = message.hostUInt32(at: 12)
                if kind == .expectNew || kind == .expectDestroy {
                    try ExpectationCodec.read(message, into: &expectation)
                    expected(kind, expectation)
                } else {
                    body(kind, entry)
                }
                messages += 1
            } catch {
                malformed &+= 1
            }
            guard let next = bytes.nextMessage(after: offset) else { break }
            offset = next
        }
        return messages
    }
}
