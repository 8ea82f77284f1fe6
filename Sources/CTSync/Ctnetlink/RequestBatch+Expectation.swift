// SPDX-License-Identifier: GPL-2.0-or-later

/// Requests about expectations; they share a batch's memory and answers with those about entries.
extension RequestBatch {
    /// Makes an expectation; ENOENT where its parent is not there, EOPNOTSUPP where that has
    /// no helper or there is none of the name, EEXIST where it is there already.
    ///
    /// The kernel gives it the timeout of its helper's policy, whatever is asked: set it afterwards.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func create(_ expectation: borrowing Expectation, tag: UInt32) -> Bool {
        let key = expectation.key
        guard
            begin(
                IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, tag, key,
                subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        putTuple(key)
        writer.put(CTA_EXPECT_MASK, expectation.mask)
        writer.put(CTA_EXPECT_MASTER, expectation.parent)
        writer.put(CTA_EXPECT_TIMEOUT, expectation.timeoutSeconds)
        writer.put(CTA_EXPECT_FLAGS, expectation.flags)
        writer.put(CTA_EXPECT_CLASS, expectation.policyClass)
        if expectation.helper.count > 0 {
            writer.put(CTA_EXPECT_HELP_NAME, expectation.helper)
        }
        if expectation.isTranslated {
            let nest = writer.beginNest(CTA_EXPECT_NAT)
            writer.put(CTA_EXPECT_NAT_DIR, UInt32(expectation.translationDirection))
            writer.put(CTA_EXPECT_NAT_TUPLE, expectation.translation)
            writer.endNest(nest)
        }
        if expectation.function.count > 0 { writer.put(CTA_EXPECT_FN, expectation.function) }
        return end()
    }

    /// Changes an expectation's timeout; ENOENT where there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    func updateTimeout(
        _ expectation: borrowing Expectation, timeoutSeconds: UInt32, tag: UInt32
    ) -> Bool {
        let key = expectation.key
        guard
            begin(IPCTNL_MSG_EXP_NEW, 0, tag, key, subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        putTuple(key)
        // ctnetlink_new_expect wants them, and looks at none of them in a change.
        writer.put(CTA_EXPECT_MASK, expectation.mask)
        writer.put(CTA_EXPECT_MASTER, expectation.parent)
        writer.put(CTA_EXPECT_TIMEOUT, timeoutSeconds)
        return end()
    }

    /// Removes an expectation; ENOENT where there is none.
    ///
    /// - Returns: false when the batch is full: send it first.
    package func delete(expectation key: borrowing Key, tag: UInt32) -> Bool {
        guard begin(IPCTNL_MSG_EXP_DELETE, 0, tag, key, subsystem: NFNL_SUBSYS_CTNETLINK_EXP)
        else { return false }
        putTuple(key)
        return end()
    }

    private func putTuple(_ key: borrowing Key) {
        if key.zone != 0 { writer.put(CTA_EXPECT_ZONE, key.zone) }
        writer.put(CTA_EXPECT_TUPLE, key.tuple)
    }
}
