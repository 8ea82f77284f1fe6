// SPDX-License-Identifier: GPL-2.0-or-later

/// What the master has said of one expectation.
struct ReplicatedExpectation: BitwiseCopyable {
    var expectation: Expectation
    var standing: Replica.Standing
    /// Who spoke of it last.
    var word: Ledger.Word
    /// When its timeout was said, in seconds of the slave's clock.
    var saidAtSeconds: UInt32

    /// The time that it would have had at the master.
    func remainingSeconds(now: UInt32) -> UInt32 {
        let age = now &- saidAtSeconds
        return expectation.timeoutSeconds > age ? expectation.timeoutSeconds - age : 1
    }
}
