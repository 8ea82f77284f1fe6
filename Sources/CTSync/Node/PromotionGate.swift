// SPDX-License-Identifier: GPL-2.0-or-later

/// Lets a promotion that arrives in the middle of an initsync wait for its end, for a limited time
/// (`--require-sync`). Never a refusal: the cluster manager decides.
struct PromotionGate {
    /// How often it is looked whether it still has to wait.
    static let interval = 5 * Duration.millisecond

    /// How long a promotion waits at most; 0 for not at all.
    let patience: UInt64
    /// Until when the promotion that waits does so; nil while none waits.
    private(set) var deadline: Instant?

    init(seconds: UInt32) {
        patience = UInt64(seconds) * Duration.second
    }

    /// Whether a promotion has to wait (further).
    ///
    /// A silent master ends no initsync, so nothing is waited for then.
    ///
    /// - Parameter reason: why the slave is not in sync; nil if it is.
    mutating func mustWait(_ reason: SlaveProtocol.OutOfSync?, now: Instant) -> Bool {
        let mayEnd = reason == .initsync || reason == .gap || reason == .adopting
        let until = deadline ?? now + patience
        guard mayEnd, now < until else {
            deadline = nil
            return false
        }
        deadline = until
        return true
    }

    /// Forgets the promotion that waits: another order has come.
    mutating func cancel() {
        deadline = nil
    }
}
