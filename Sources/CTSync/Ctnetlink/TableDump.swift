// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// A dump of this namespace's conntrack table, in steps so that its user can pace it.
///
/// One thread uses it: `start`, then `step` until it returns false, then perhaps `start` again.
/// The kernel holds a dump's place between steps; entries that come or go meanwhile may be missed
/// or seen twice, so the event socket is opened first. Its 32 KiB or less are taken at the start.
package final class TableDump {
    /// The kernel fills at most 32 KiB a message (netlink_dump, net/netlink/af_netlink.c).
    package static let largestStep = 32 * 1024
    /// It fills up to NLMSG_GOODSIZE without asking whether there is room: 8 KiB at most.
    package static let smallestStep = 8 * 1024
    /// The kernel answers at once or not at all.
    private static let patienceMilliseconds: CInt = 5_000

    private let bufferBytes: Int
    private let memory: MappedMemory
    private var socket: LateDescriptor?
    private var sequence: UInt32 = 0
    private var isRunning = false
    private var entry = Entry(Key(.none))
    private var expectation = Expectation(Key(.none))

    /// Messages that were none of the kernel's, since the start.
    private(set) var malformed: UInt64 = 0

    /// Takes the memory and opens the socket.
    ///
    /// - Parameter stepBytes: how much the kernel may give in a step, from `smallestStep` to `largestStep`;
    ///   it takes 0.6 ms for 32 KiB (2.7 us an entry), and many kernels give the processor to nobody else
    ///   meanwhile.
    /// - Throws: `SystemError` of mmap(2) or socket(2).
    package init(stepBytes: Int = TableDump.largestStep) throws(SystemError) {
        precondition(stepBytes >= Self.smallestStep && stepBytes <= Self.largestStep)
        bufferBytes = stepBytes
        memory = try MappedMemory(byteCount: stepBytes)
        socket = try Self.open()
    }

    private static func open() throws(SystemError) -> LateDescriptor {
        try LateDescriptor("netlink socket") { ctsync_netlink_open(NETLINK_NETFILTER, 0) }
    }

    /// Asks for the table; a dump that is still running is given up.
    ///
    /// - Parameter family: only entries of this family, or nil for all (AF_UNSPEC).
    /// - Throws: `SystemError` of send(2).
    package func start(family: Family?) throws(SystemError) {
        try start(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, family)
    }

    /// Asks for the expectations; `step` hands them to its second body.
    ///
    /// - Throws: `SystemError` of send(2).
    func startExpectations() throws(SystemError) {
        try start(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, nil)
    }

    private func start(
        _ subsystem: UInt16, _ type: UInt16, _ family: Family?
    ) throws(SystemError) {
        cancel()
        let descriptor = try openedSocket()
        sequence &+= 1
        var writer = NetlinkWriter(memory.base, capacity: bufferBytes)
        writer.beginMessage(
            subsystem, type: type, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence: sequence,
            family: family?.rawValue ?? 0)
        writer.endMessage()
        try retrying("send of a dump request") {
            send(descriptor, memory.base, writer.count, 0)
        }
        isRunning = true
    }

    /// Hands the entries of one netlink datagram, `stepBytes` of them at most, to the body.
    ///
    /// - Returns: false when the dump is complete, or none was started.
    /// - Throws: `SystemError` of poll(2), recv(2) or the kernel's NLMSG_ERROR; ETIMEDOUT when
    ///   the kernel did not answer. The dump is given up then.
    package func step(
        _ body: (borrowing Entry) -> Void,
        expectation: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool {
        guard isRunning else { return false }
        do throws(SystemError) {
            isRunning = try receive(body, expectation)
        } catch {
            cancel()
            throw error
        }
        return isRunning
    }

    /// Gives up a running dump; its rest is never read.
    func cancel() {
        if isRunning { socket = nil }
        isRunning = false
    }

    private func openedSocket() throws(SystemError) -> CInt {
        if let raw = socket?.raw { return raw }
        let opened = try Self.open()
        let raw = opened.raw
        socket = consume opened
        return raw
    }

    private func receive(
        _ body: (borrowing Entry) -> Void, _ expected: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool {
        let descriptor = try openedSocket()
        let length = try waitAndReceive(descriptor)
        let bytes = UnsafeRawBufferPointer(start: memory.base, count: length).bytes
        var offset = 0
        while let next = bytes.nextMessage(after: offset) {
            if bytes.hostUInt32(at: offset + 8) == sequence {
                guard try read(bytes, at: offset, body, expected) else { return false }
            }
            offset = next
        }
        return true
    }

    /// Reads one message; false for the end of the dump.
    private func read(
        _ bytes: RawSpan, at offset: Int, _ body: (borrowing Entry) -> Void,
        _ expected: (borrowing Expectation) -> Void
    ) throws(SystemError) -> Bool {
        do throws(NetlinkError) {
            let message = bytes.extracting(offset..<bytes.byteCount)
            switch try EntryCodec.read(message, into: &entry) {
            case .new, .update: body(entry)
            case .expectNew:
                try ExpectationCodec.read(message, into: &expectation)
                expected(expectation)
            case .error, .done:
                let number = try bytes.errorNumber(at: offset)
                if number != 0 { throw .kernel(number) }
                return false
            default: break
            }
        } catch {
            if case .kernel(let number) = error {
                throw SystemError("dump of the conntrack table", errno: number)
            }
            malformed &+= 1
        }
        return true
    }

    private func waitAndReceive(_ descriptor: CInt) throws(SystemError) -> Int {
        while true {
            let received = try retryingNonBlocking("recv of a dump") {
                recv(descriptor, memory.base, bufferBytes, 0)
            }
            if let received { return received }
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = try retrying("poll of a dump") {
                poll(&polled, 1, Self.patienceMilliseconds)
            }
            if ready == 0 { throw SystemError("dump of the conntrack table", errno: ETIMEDOUT) }
        }
    }
}
