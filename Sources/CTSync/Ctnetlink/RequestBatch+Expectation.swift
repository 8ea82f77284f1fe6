// SPDX-License-Identifier: GPL-2.0-or-later

/// Requests about expectations; they share a batch's memory and answers with those about entries.
extension RequestBatch {
    /// Makes an expectation; ENOENT if its parent is not there, EOPNOTSUPP if that has
    /// no helper or there is none of the name, EEXIST if it is there already.
    ///
    /// The kernel gives it the timeout of its helper's policy, whatever is asked: set it afterwards.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool {
        guard
            begin(
                IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, tag, expectation.key,
                subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        return end(ExpectationCodec.writeCreation(expectation, to: &writer))
    }

    /// Changes an expectation's timeout; ENOENT if there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool {
        guard
            begin(
                IPCTNL_MSG_EXP_NEW, 0, tag, expectation.key, subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        ExpectationCodec.writeChange(expectation, timeoutSeconds: timeoutSeconds, to: &writer)
        return end()
    }

    /// Removes an expectation; ENOENT if there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func delete(expectation key: borrowing Key, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_EXP_DELETE, 0, tag, key, subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        ExpectationCodec.write(key, to: &writer)
        return end()
    }
}
