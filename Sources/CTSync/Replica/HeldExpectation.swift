// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave holds of one expectation of the master.
struct HeldExpectation: BitwiseCopyable {
    var expectation: Expectation
    var flags: Flags
    /// The initsync in which it was last confirmed or spoken of.
    var generation: UInt16
    /// When the master said its timeout, in seconds of the slave's clock.
    var saidAtSeconds: UInt32
    /// When the kernel was last given the long timeout.
    var heldAtSeconds: UInt32
    /// While it waits for its parent: when it is tried again, and when no more.
    var retryAt: Instant
    var retryUntil: Instant
    /// A check has found it in the kernel.
    var isSeen = false

    struct Flags: OptionSet, BitwiseCopyable {
        var rawValue: UInt8
        /// The master has it.
        static let alive = Flags(rawValue: 1 << 0)
        /// The slave's kernel has it.
        static let inKernel = Flags(rawValue: 1 << 1)
        /// The kernel is to be told something.
        static let dirty = Flags(rawValue: 1 << 2)
        /// The kernel's is another: delete first.
        static let recreate = Flags(rawValue: 1 << 3)
        /// The live stream spoke of it during the initsync of its generation.
        static let live = Flags(rawValue: 1 << 4)
        /// It waits for its parent.
        static let waiting = Flags(rawValue: 1 << 5)
        /// The kernel has refused it for good.
        static let refused = Flags(rawValue: 1 << 6)
        /// Its place is taken.
        static let used = Flags(rawValue: 1 << 7)
    }

    /// The time that it would have had at the master.
    func remainingSeconds(now: UInt32) -> UInt32 {
        let age = now &- saidAtSeconds
        return expectation.timeoutSeconds > age ? expectation.timeoutSeconds - age : 1
    }
}
