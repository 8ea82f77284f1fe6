// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicationFilter {
    /// Whether an expectation may be replicated: where its master entry is.
    ///
    /// Of that only the original tuple is known here. Its reply tuple is supposed to be the inverse,
    /// unless the expectation is translated: then the connection goes on past an address of the
    /// firewall's own. What else a filter asks of an entry (its mark, its state) is not known: the
    /// master asks its kernel (`ExpectationSieve`), a slave looks for the replica.
    public func mayAdmit(_ expectation: Expectation) -> Bool {
        mayAdmit(Self.master(of: expectation))
    }

    /// Whether one that the kernel has when a node becomes slave may be held from then on; as of
    /// entries.
    public func mayAdopt(_ expectation: Expectation) -> Bool {
        !isOwn(Self.master(of: expectation)) && mayAdmit(expectation)
    }

    private static func master(of expectation: Expectation) -> Entry {
        var key = expectation.key
        key.tuple = expectation.master
        var entry = Entry(key)
        if expectation.isTranslated { entry.reply.source = expectation.translation.source }
        return entry
    }
}
