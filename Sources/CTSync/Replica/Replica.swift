// SPDX-License-Identifier: GPL-2.0-or-later

/// What the master has said of one connection: 88 bytes. What this node's kernel has of it is
/// elsewhere (`Injection`), in the same place; so is a reply tuple that is too long.
struct Replica: BitwiseCopyable {
    /// Whether the master has the connection.
    enum Standing: UInt8, BitwiseCopyable {
        /// Nobody speaks of any: the place is free.
        case free
        /// It has ended; its place is kept until the kernel has nothing of it.
        case dead
        /// The master has it.
        case alive
    }

    var key: Key
    /// `spoken`, but for the status.
    private var spokenBits: UInt8 = 0
    /// Who spoke of it last.
    var word: Ledger.Word
    var standing = Standing.alive
    var fields: Entry.Fields
    var shortReply: ShortReply
    /// The low bits of the master's CTA_STATUS.
    var status: UInt16
    /// Whether only parts of it were said: what is unsaid is not known, rather than nothing.
    var isHalf = false
    /// The timeout the master said ...
    var timeoutSeconds: UInt32
    var mark: UInt32
    var protocolInfo: ProtocolInfo
    /// ... and when, in seconds of the slave's clock.
    var saidAtSeconds: UInt32

    /// What `entry` says of a connection, as of now.
    init(_ entry: borrowing Entry, _ word: Ledger.Word, now: UInt32) {
        key = entry.key
        self.word = word
        fields = entry.fields
        status = UInt16(truncatingIfNeeded: entry.status.rawValue)
        shortReply = ShortReply(entry.reply)
        timeoutSeconds = entry.connectionSeconds
        mark = entry.mark
        protocolInfo = entry.protocolInfo
        saidAtSeconds = now
    }

    /// Which fields the live stream has said since its generation began, if it spoke last: they are
    /// newer than what an initsync read. The status is in every event.
    var spoken: Entry.Fields {
        get { Entry.Fields(rawValue: UInt16(spokenBits) << 1 | Entry.Fields.status.rawValue) }
        set { spokenBits = UInt8(truncatingIfNeeded: newValue.rawValue >> 1) }
    }

    /// `spoken` when the live stream has said all there is.
    static let everything = Entry.Fields(rawValue: 0x1FF)

    /// Whether enough was said to make a kernel's entry of it.
    var isSufficient: Bool { fields.suffice(for: key.tuple.protocolNumber) }

    /// Whether the master has it, and said too little of it.
    var isAliveInsufficient: Bool { standing == .alive && !isSufficient }
}

/// A reply tuple in 12 bytes: family and protocol are those of the original one, and so are the
/// addresses of an IPv6 one that is not translated. `ReplicaPool` keeps those that do not fit.
struct ShortReply: BitwiseCopyable {
    private var source: UInt32
    private var destination: UInt32
    private var sourcePort: UInt16
    private var destinationPort: UInt16

    @inline(__always)
    init(_ tuple: Tuple) {
        source = UInt32(truncatingIfNeeded: tuple.source.low)
        destination = UInt32(truncatingIfNeeded: tuple.destination.low)
        sourcePort = tuple.sourcePort
        destinationPort = tuple.destinationPort
    }

    /// The reply tuple to an original one of IPv4.
    @inline(__always)
    func tuple(for original: Tuple) -> Tuple {
        Tuple(
            family: original.family, protocolNumber: original.protocolNumber,
            source: Address(ipv4: source), destination: Address(ipv4: destination),
            sourcePort: sourcePort, destinationPort: destinationPort)
    }
}
