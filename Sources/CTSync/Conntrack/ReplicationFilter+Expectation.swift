// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicationFilter {
    /// Whether an expectation is to be replicated: it is where its master entry is.
    ///
    /// Of that only the original tuple is known here. Its reply tuple is supposed to be the inverse,
    /// unless the expectation is translated: then the connection goes on past an address of the
    /// firewall's own. What else a filter asks of an entry (its mark, its state) is not known, and
    /// the slave has the expectation wait in vain for a master entry that is not replicated.
    public func admits(_ expectation: Expectation) -> Bool {
        var key = expectation.key
        key.tuple = expectation.master
        var entry = Entry(key)
        if expectation.isTranslated { entry.reply.source = expectation.translation.source }
        return admits(entry)
    }
}
