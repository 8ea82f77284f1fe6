// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave holds of one connection of the master: 120 bytes.
struct Replica: BitwiseCopyable {
    var key: Key
    /// `spoken`, but for the status.
    private var spokenBits: UInt8 = 0
    var flags: Flags
    var fields: Entry.Fields
    /// The low bits of the master's CTA_STATUS.
    var status: UInt16
    var reply: Tuple
    /// The initsync in which it was last confirmed or spoken of.
    var generation: UInt16
    /// The timeout the master said ...
    var timeoutSeconds: UInt32
    var mark: UInt32
    var protocolInfo: ProtocolInfo
    /// ... and when, in seconds of the slave's clock.
    var saidAtSeconds: UInt32
    /// When the kernel was last given the long timeout.
    var heldAtSeconds: UInt32
    /// Its place in the pool of extras, or `ReplicaTable.noPlace`; while free, the next free place.
    var link: UInt32

    struct Flags: OptionSet, BitwiseCopyable {
        var rawValue: UInt16
        /// The master has it.
        static let alive = Flags(rawValue: 1 << 0)
        /// The slave's kernel has it.
        static let inKernel = Flags(rawValue: 1 << 1)
        /// It waits for the next batch.
        static let dirty = Flags(rawValue: 1 << 2)
        /// The kernel's entry cannot be changed into it: delete first.
        static let recreate = Flags(rawValue: 1 << 3)
        /// The live stream spoke of it during the initsync of its generation.
        static let live = Flags(rawValue: 1 << 4)
        /// Counted as one that lacks what a kernel entry needs.
        static let insufficient = Flags(rawValue: 1 << 5)
        /// The kernel has refused it for good; tried again when it changes.
        static let refused = Flags(rawValue: 1 << 6)
        /// What the kernel has of it was read and not written, perhaps before the last writing: the
        /// next word about it is written, whatever it says; `recreate` where packets have passed.
        static let adopted = Flags(rawValue: 1 << 7)
        /// This node lacks its helper: the kernel is not told of one.
        static let helperless = Flags(rawValue: 1 << 11)
        /// It waits for its parent, in `ReplicaTable.waiting`.
        static let waiting = Flags(rawValue: 1 << 12)
        /// It was made without its parent, in `ReplicaTable.orphans`.
        static let orphan = Flags(rawValue: 1 << 15)
        /// A check has found it in the kernel; after a promotion, packets of one direction only.
        static let seen = Flags(rawValue: 1 << 13)
        /// The kernel had it before this node was slave; the master has not spoken of it yet.
        static let unconfirmed = Flags(rawValue: 1 << 14)
        /// Times the current operation has been tried again: bits 8 to 10.
        static let attempts = Flags(rawValue: 7 << 8)
    }

    /// What `entry` says of a connection, as of now.
    init(_ entry: borrowing Entry, now: UInt32) {
        key = entry.key
        flags = []
        fields = entry.fields
        status = UInt16(truncatingIfNeeded: entry.status.rawValue)
        reply = entry.reply
        generation = 0
        timeoutSeconds = entry.timeoutSeconds
        mark = entry.mark
        protocolInfo = entry.protocolInfo
        saidAtSeconds = now
        heldAtSeconds = now
        link = ReplicaPool.noPlace
    }

    /// Which fields the live stream has said since its generation began, if it is `live`: they are
    /// newer than what an initsync read. The status is in every event.
    var spoken: Entry.Fields {
        get { Entry.Fields(rawValue: UInt16(spokenBits) << 1 | Entry.Fields.status.rawValue) }
        set { spokenBits = UInt8(truncatingIfNeeded: newValue.rawValue >> 1) }
    }

    /// `spoken` when the live stream has said all there is.
    static let everything = Entry.Fields(rawValue: 0x1FF)

    /// Whether the replies are not the plain inversion: address translation.
    var isTranslated: Bool { reply != key.tuple.inverse }

    var attempts: Int {
        get { Int(flags.rawValue >> 8 & 7) }
        set { flags.rawValue = flags.rawValue & ~(7 << 8) | UInt16(min(newValue, 7)) << 8 }
    }
}
