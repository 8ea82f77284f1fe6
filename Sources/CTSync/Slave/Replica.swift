// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave holds of one connection of the master: 120 bytes.
struct Replica: BitwiseCopyable {
    var key: Key
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
        /// The live stream has said all there is of it.
        static let whole = Flags(rawValue: 1 << 7)
        /// Its master entry has not come: the kernel is not told of a master.
        static let orphan = Flags(rawValue: 1 << 11)
        /// This node lacks its helper: the kernel is not told of one.
        static let helperless = Flags(rawValue: 1 << 12)
        /// It waits for its master entry, in `ReplicaTable.waiting`.
        static let waiting = Flags(rawValue: 1 << 13)
        /// The kernel had it before this node was slave, and may have tracked packets of it.
        static let adopted = Flags(rawValue: 1 << 14)
        /// A check has found it in the kernel.
        static let seen = Flags(rawValue: 1 << 15)
        /// Times the current operation has been tried again: bits 8 to 10.
        static let attempts = Flags(rawValue: 7 << 8)
    }

    var attempts: Int {
        get { Int(flags.rawValue >> 8 & 7) }
        set { flags.rawValue = flags.rawValue & ~(7 << 8) | UInt16(min(newValue, 7)) << 8 }
    }
}
