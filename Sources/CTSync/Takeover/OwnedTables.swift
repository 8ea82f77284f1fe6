// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Has the kernel keep a drop's tables from everybody else's `nft flush ruleset`, and have them
/// outlive their owner (NFT_TABLE_F_OWNER, Linux 5.12, and NFT_TABLE_F_PERSIST, Linux 6.9).
///
/// Only its owner, a netlink socket, changes an owned table, and libnftables has sockets of its own.
/// So the tables are made persistent and without an owner (`make`), libnftables fills them, and then
/// this object's socket takes them (`take`). Closing that, as a killed process does, leaves them to
/// anybody again, with all that is in them. The library (1.0.6) knows nothing of the second flag.
///
/// Any netfilter socket that is closed waits until the kernel has freed what a transaction removed,
/// and so for an RCU grace period, and holds up all transactions meanwhile: tens of milliseconds on a
/// busy machine, and seconds where programs of the idle class are kept from running. So a takeover
/// removes nothing: its tables `rest` (NFT_TABLE_F_DORMANT), and are awake again with the next demotion.
/// The kernel lets no owner do that (EOPNOTSUPP, up to Linux 6.18 at least), so they are nobody's
/// meanwhile.
///
/// Thread: its owner's.
final class OwnedTables {
    private static let subsystem: UInt16 = 10  // NFNL_SUBSYS_NFTABLES
    private static let newTable: UInt16 = 0  // NFT_MSG_NEWTABLE
    private static let (request, acknowledge, create): (UInt16, UInt16, UInt16) = (1, 4, 0x400)
    private static let (nameAttribute, flagsAttribute): (UInt16, UInt16) = (1, 2)  // NFTA_TABLE_*
    private static let dormant: UInt32 = 1  // NFT_TABLE_F_DORMANT
    private static let ownership: UInt32 = 2  // NFT_TABLE_F_OWNER
    private static let bufferBytes = 8 * 1024

    /// The numbers of what a kernel may be too old for. It refuses them as it does any that it has never heard
    /// of, and so a test has an old kernel: by numbers that none has.
    struct Numbers {
        /// NFT_MSG_DESTROYTABLE, Linux 6.3
        var destroyTable: UInt16 = 26
        /// NFT_TABLE_F_PERSIST, Linux 6.9
        var persist: UInt32 = 4
    }

    private let name: String
    private let families: [String]
    private let numbers: Numbers
    private let memory: MappedMemory
    /// What asks for all that no owner is needed for; nil until then.
    private var asker: Descriptor?
    /// The owner, or what was it and can be again.
    private var owner: Descriptor?
    private var hold = Hold.none

    /// What the tables are to it.
    private enum Hold {
        /// Nothing: they are not there, or it does not own them.
        case none
        /// It owns them, and they are at work.
        case awake
        /// Nobody owns them, and they do nothing.
        case resting
    }

    /// The tables of this name; touches nothing.
    init(
        _ name: String, families: [String], numbers: Numbers = Numbers()
    ) throws(SystemError) {
        self.name = name
        self.families = families
        self.numbers = numbers
        memory = try MappedMemory(byteCount: Self.bufferBytes)
    }

    /// Makes those that are not there, empty; the others stay as they are, but for those that rest, which
    /// are made anew. Nobody owns them then.
    ///
    /// - Throws: `SystemError`; EOPNOTSUPP if this kernel has no such tables, or where one is
    ///   there without the flag, which cannot be changed.
    func make() throws(SystemError) {
        if hold == .resting { try destroy() }
        release()
        try run(Self.newTable, Self.create, numbers.persist, by: &asker)
    }

    /// Takes the tables, and has them work if they rest. One that somebody has removed meanwhile is made, empty:
    /// what is in them is to be looked at afterwards, when nobody else can change it any more.
    ///
    /// - Throws: `SystemError`; EPERM if somebody else has one.
    func take() throws(SystemError) {
        try run(Self.newTable, 0, Self.ownership | numbers.persist, by: &owner)
        hold = .awake
    }

    /// Has them do nothing, full as they are.
    ///
    /// - Returns: whether they are owned, and so can.
    func rest() throws(SystemError) -> Bool {
        guard hold == .awake else { return false }
        release()
        try run(Self.newTable, 0, Self.dormant | numbers.persist, by: &asker)
        hold = .resting
        return true
    }

    /// Has them work again, as they were.
    ///
    /// - Returns: whether they did rest.
    func wake() throws(SystemError) -> Bool {
        guard hold == .resting else { return false }
        try take()
        return true
    }

    /// Whether an error says that this kernel, or a table of an earlier version, has no such flags.
    static func isTooOld(_ error: SystemError) -> Bool {
        error.errno == EOPNOTSUPP || error.errno == EINVAL
    }

    /// Leaves them to anybody, full as they are: the kernel asks for nothing less than that their owner
    /// is closed.
    func release() {
        guard hold == .awake else { return }
        owner = nil
        hold = .none
    }

    /// Removes all of them with what is in them, there or not.
    ///
    /// - Throws: `SystemError`; EINVAL if the kernel is too old for that. Tables without an owner can be
    ///   removed by others.
    func destroy() throws(SystemError) {
        if hold == .awake {
            try run(numbers.destroyTable, 0, nil, by: &owner)
        } else {
            try run(numbers.destroyTable, 0, nil, by: &asker)
        }
        hold = .none
    }

    private static func open() throws(SystemError) -> Descriptor {
        let socket = try Descriptor("nftables socket") {
            ctsync_netlink_open(NetlinkReader.netfilter, 0)
        }
        let raw = socket.raw
        try retrying("NETLINK_CAP_ACK") { ctsync_netlink_short_errors(raw) }
        return socket
    }

    // MARK: Messages

    /// Sends one message a family as one transaction, by a socket that is opened if it is not; the kernel has
    /// answered when send returns.
    private func run(
        _ type: UInt16, _ flags: UInt16, _ tableFlags: UInt32?, by socket: inout Descriptor?
    ) throws(SystemError) {
        if socket == nil { socket = try Self.open() }
        guard let raw = socket?.raw else { return }
        var writer = NetlinkWriter(memory.base, capacity: Self.bufferBytes)
        bracket(0x10, &writer)  // NFNL_MSG_BATCH_BEGIN
        for (index, family) in families.enumerated() {
            writer.beginMessage(
                Self.subsystem, type: type, flags: Self.request | Self.acknowledge | flags,
                sequence: UInt32(index + 1), family: Self.number(family))
            let bytes = Array(name.utf8)
            writer.putText(Self.nameAttribute, byteCount: bytes.count) { bytes[$0] }
            if let tableFlags { writer.put(Self.flagsAttribute, tableFlags) }
            writer.endMessage()
        }
        bracket(0x11, &writer)  // NFNL_MSG_BATCH_END
        try retrying("send of nftables requests") { send(raw, memory.base, writer.count, 0) }
        try readAnswers(raw)
    }

    private func bracket(_ type: UInt16, _ writer: inout NetlinkWriter) {
        writer.beginMessage(0, type: type, flags: Self.request, sequence: 0, family: 0)
        writer.store(Self.subsystem.bigEndian, at: writer.count - 2)  // res_id
        writer.endMessage()
    }

    /// The kernel answers each message, also of a transaction that it refuses. All answers are read: one that
    /// is left would be taken for an answer to the next transaction.
    private func readAnswers(_ raw: CInt) throws(SystemError) {
        var left = families.count
        var refusal: CInt = 0
        while left > 0 {
            let count = try retryingNonBlocking("recv of nftables answers") {
                recv(raw, memory.base, Self.bufferBytes, 0)
            }
            guard let count else {
                // It had no memory for all of them, or refused them together.
                throw SystemError("nftables tables", errno: refusal == 0 ? ENODATA : refusal)
            }
            let bytes = UnsafeRawBufferPointer(start: memory.base, count: count).bytes
            var offset = 0
            while offset < count, let next = bytes.nextMessage(after: offset) {
                let number: CInt
                do throws(NetlinkError) {
                    number = try bytes.errorNumber(at: offset)
                } catch {
                    throw SystemError("answers of nftables: \(error)", errno: EBADMSG)
                }
                if refusal == 0 { refusal = number }
                left -= 1
                offset = next
            }
        }
        guard refusal == 0 else { throw SystemError("nftables tables", errno: refusal) }
    }

    /// NFPROTO_*
    private static func number(_ family: String) -> UInt8 {
        switch family {
        case "inet": 1
        case "arp": 3
        case "bridge": 7
        default: 5  // netdev
        }
    }
}
