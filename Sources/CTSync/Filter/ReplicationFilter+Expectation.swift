// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicationFilter {
    /// Whether an expectation may be replicated: where its parent is.
    ///
    /// Of that only the original tuple is known here. Its reply tuple is supposed to be the inverse,
    /// unless the expectation is translated: then the connection goes on past an address of the
    /// firewall's own. What else a filter asks of an entry (its mark, its state) is not known: the
    /// master asks its kernel (`ExpectationSieve`), a slave looks for the replica.
    func mayAdmit(_ expectation: Expectation) -> Bool {
        mayAdmit(Self.parent(of: expectation))
    }

    /// Whether one that the kernel has when a node becomes slave may be held from then on; as of
    /// entries.
    func mayAdopt(_ expectation: Expectation) -> Bool {
        !isOwn(Self.parent(of: expectation)) && mayAdmit(expectation)
    }

    private static func parent(of expectation: Expectation) -> Entry {
        var entry = Entry(expectation.parentKey)
        if expectation.isTranslated { entry.reply.source = expectation.translation.source }
        return entry
    }
}
