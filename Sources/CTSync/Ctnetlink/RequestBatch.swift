// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Changes to this namespace's conntrack table, many in one send(2), without acknowledgements.
///
/// One thread uses it. Steps: `create`, `update`, `updateTimeout` and `delete` write requests into
/// 256 KiB taken at the start, until one returns false or there are no more; `send` hands them to the
/// kernel, which works through them in order before the call returns and queues an error for each
/// that failed; then it reads these. A request's tag is its nlmsg_seq and comes back with its error.
package final class RequestBatch {
    private static let bufferBytes = 256 * 1024
    /// The most bytes of one request.
    static let largestRequestBytes = max(
        EntryCodec.maximumByteCount, ExpectationCodec.maximumByteCount)
    /// An error takes some 800 bytes of the receive buffer, and a batch has at most 3,632 requests
    /// (deletes of IPv4 entries, 72 bytes each); the kernel doubles what is asked.
    private static let receiveBufferBytes: CInt = 2 * 1024 * 1024

    private let memory: MappedMemory
    private let socket: LateDescriptor
    private let port: UInt32
    private let errors: DatagramBatch
    var writer: NetlinkWriter

    /// Requests written and not yet sent.
    package private(set) var count = 0
    /// Requests in which something was replaced because no kernel takes it (`KernelRange`), since the
    /// start.
    private(set) var replacedCount: UInt64 = 0

    /// Takes the memory and opens the socket.
    ///
    /// - Parameter isTold: whether what it changes is news for a master's slaves: an operator's doing, or an
    ///   end; else it is the daemon's own (`OwnPorts`).
    /// - Throws: `SystemError` of mmap(2), socket(2) or setsockopt(2).
    package convenience init(isTold: Bool = false) throws(SystemError) {
        try self.init(receiveBufferBytes: Self.receiveBufferBytes, isTold: isTold)
    }

    deinit {
        OwnPorts.remove(port)
    }

    init(receiveBufferBytes: CInt, isTold: Bool = false) throws(SystemError) {
        let memory = try MappedMemory(byteCount: Self.bufferBytes)
        let socket = try LateDescriptor("netlink socket") {
            ctsync_netlink_open(NETLINK_NETFILTER, 0)
        }
        let raw = socket.raw
        try retrying("NETLINK_CAP_ACK") { ctsync_netlink_short_errors(raw) }
        try retrying("netlink receive buffer") {
            ctsync_set_receive_buffer(raw, receiveBufferBytes)
        }
        try retrying("netlink send buffer") {
            ctsync_set_send_buffer(raw, CInt(2 * Self.bufferBytes))
        }
        port = isTold ? 0 : try OwnPorts.add(raw)
        writer = NetlinkWriter(memory.base, capacity: Self.bufferBytes)
        errors = try DatagramBatch()
        self.memory = memory
        self.socket = socket
    }

    /// Makes an entry, its address translation included; EEXIST if tuple or reply tuple is taken.
    ///
    /// Sent are status, mark, timeout, zone and what `fields` says is there.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func create(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, tag, entry.key) else {
            return false
        }
        let status = entry.status.subtracting(.notAtCreation).union(.IPS_CONFIRMED)
        return end(
            EntryCodec.writeCreation(
                entry, timeoutSeconds: timeoutSeconds, status: status, to: &writer))
    }

    /// Changes what can be changed of an entry; ENOENT if there is none.
    ///
    /// An entry made with a master has IPS_EXPECTED, and the kernel answers EBUSY to a status that
    /// disagrees about it: so it is sent where `fields` has `parent`.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func update(_ entry: borrowing Entry, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_NEW, 0, tag, entry.key) else { return false }
        var status = entry.status.intersection(.changeable).union(.IPS_CONFIRMED)
        if entry.fields.contains(.parent) { status.insert(.IPS_EXPECTED) }
        return end(
            EntryCodec.writeChange(
                entry, timeoutSeconds: timeoutSeconds, status: status, to: &writer))
    }

    /// Changes an entry's timeout and nothing else; ENOENT if there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    func updateTimeout(_ key: borrowing Key, timeoutSeconds: UInt32, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_NEW, 0, tag, key) else { return false }
        EntryCodec.write(key, to: &writer)
        writer.put(CTA_TIMEOUT, timeoutSeconds)
        return end()
    }

    /// Sets or clears IP_CT_TCP_FLAG_BE_LIBERAL in both directions of a TCP entry, and nothing else;
    /// ENOENT if there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    func updateLiberal(_ key: borrowing Key, _ isLiberal: Bool, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_NEW, 0, tag, key) else { return false }
        EntryCodec.write(key, to: &writer)
        ProtocolInfoCodec.writeTCPFlags(
            isLiberal ? TCPFlag.beLiberal : 0, mask: TCPFlag.beLiberal, to: &writer)
        return end()
    }

    /// Removes an entry; ENOENT if there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func delete(_ key: borrowing Key, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_DELETE, 0, tag, key) else { return false }
        EntryCodec.write(key, to: &writer)
        return end()
    }

    /// Removes this very entry: the kernel compares its CTA_ID. ENOENT if it is gone, or another has its key.
    ///
    /// - Returns: false when the batch is full: send it first.
    func delete(exactly entry: borrowing Entry, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_CT_DELETE, 0, tag, entry.key) else { return false }
        EntryCodec.write(entry.key, to: &writer)
        writer.put(CTA_ID, entry.id)
        return end()
    }

    /// Sends the batch and reads what failed; the batch is empty afterwards, also when it throws.
    ///
    /// - Parameter failure: called for each request that failed, in their order, with its tag.
    /// - Throws: `SystemError` of send(2) or recvmmsg(2).
    @discardableResult
    package func send(
        _ failure: (_ tag: UInt32, _ errno: CInt) -> Void
    ) throws(SystemError) -> BatchOutcome {
        var outcome = BatchOutcome()
        guard count > 0 else { return outcome }
        outcome.requests = count
        let length = writer.count
        writer.removeAll()
        count = 0
        try retrying("send of conntrack requests") {
            Glibc.send(socket.raw, memory.base, length, 0)
        }
        while try readErrors(&outcome, failure) {}
        return outcome
    }

    /// Begins a request.
    ///
    /// - Parameter tag: what its error is known by.
    /// - Returns: false if the largest would not fit any more.
    @inline(__always)
    func begin(
        _ type: UInt16, _ flags: UInt16, _ tag: UInt32, _ key: borrowing Key,
        subsystem: UInt16 = NFNL_SUBSYS_CTNETLINK
    ) -> Bool {
        guard writer.remaining >= Self.largestRequestBytes else { return false }
        writer.beginMessage(
            subsystem, type: type, flags: NLM_F_REQUEST | flags, sequence: tag,
            family: key.tuple.family.rawValue)
        return true
    }

    /// Ends it.
    ///
    /// - Parameter isReplaced: whether something in the request is not as it was given.
    @inline(__always)
    func end(_ isReplaced: Bool = false) -> Bool {
        writer.endMessage()
        count += 1
        if isReplaced { replacedCount += 1 }
        return true
    }

    /// Reads up to 64 errors; false when none is left.
    private func readErrors(
        _ outcome: inout BatchOutcome, _ failure: (UInt32, CInt) -> Void
    ) throws(SystemError) -> Bool {
        let received: Int
        do throws(SystemError) {
            received = try errors.receive(from: socket.raw)
        } catch {
            guard error.errno == ENOBUFS else { throw error }
            outcome.lostErrors = true
            return true
        }
        for index in 0..<received {
            let bytes = errors[index].bytes
            guard bytes.byteCount >= NLMSG_HDRLEN, bytes.hostUInt16(at: 4) == NLMSG_ERROR else {
                continue
            }
            do throws(NetlinkError) {
                let number = try bytes.errorNumber(at: 0)
                if number != 0 {
                    outcome.failures += 1
                    failure(bytes.hostUInt32(at: 8), number)
                }
            } catch {
                outcome.lostErrors = true
            }
        }
        return received > 0
    }
}
