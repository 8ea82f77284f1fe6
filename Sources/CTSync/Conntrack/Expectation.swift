// SPDX-License-Identifier: GPL-2.0-or-later

/// An expectation: a connection that a helper has read the announcement of, and that will be related
/// to the connection it was announced on.
///
/// Source: `struct nf_conntrack_expect`, net/netfilter/nf_conntrack_expect.h.
package struct Expectation: Equatable, Sendable, BitwiseCopyable {
    /// The original tuple that is expected (CTA_EXPECT_TUPLE), and its zone (CTA_EXPECT_ZONE).
    package var key: Key
    /// Which bits of it count (CTA_EXPECT_MASK); a port of 0 means any.
    package var mask: Tuple = .none
    /// The original tuple of the parent (CTA_EXPECT_MASTER); it is in the same zone.
    package var parent: Tuple = .none
    /// The key of the parent.
    var parentKey: Key {
        var key = key
        key.tuple = parent
        return key
    }
    /// CTA_EXPECT_TIMEOUT in seconds.
    package var timeoutSeconds: UInt32 = 0
    /// NF_CT_EXPECT_* (CTA_EXPECT_FLAGS)
    package var flags: UInt32 = 0
    /// Which of its helper's policies holds for it (CTA_EXPECT_CLASS).
    package var policyClass: UInt32 = 0
    /// CTA_EXPECT_ID: means something on its own node only; never on the wire.
    package var id: UInt32 = 0
    /// CTA_EXPECT_HELP_NAME
    package var helper = HelperName()
    /// Whether the connection will be translated (CTA_EXPECT_NAT is there).
    package var isTranslated = false
    /// CTA_EXPECT_NAT_DIR: the direction, seen from the expected connection, that is translated.
    package var translationDirection: UInt8 = 0
    /// CTA_EXPECT_NAT_TUPLE: its source is the address and port translated to.
    package var translation: Tuple = .none
    /// CTA_EXPECT_FN: what the kernel calls when the connection comes.
    package var function = ExpectFunctionName()

    /// An expectation of this key, of which nothing else is known.
    @inline(__always)
    package init(_ key: Key) {
        self.key = key
    }

    /// NF_CT_EXPECT_PERMANENT: it stays when a connection has come.
    static let NF_CT_EXPECT_PERMANENT: UInt32 = 1
    /// NF_CT_EXPECT_INACTIVE
    static let NF_CT_EXPECT_INACTIVE: UInt32 = 2
    /// NF_CT_EXPECT_USERSPACE: another program made it.
    static let NF_CT_EXPECT_USERSPACE: UInt32 = 4

    /// Whether it is the same but for its time and its node's id.
    func isSame(as other: Expectation) -> Bool {
        var copy = other
        copy.timeoutSeconds = timeoutSeconds
        copy.id = id
        return self == copy
    }
}

/// The name of an expectation's function, such as nat-follow-master: at most 30 bytes.
package struct ExpectFunctionName: Equatable, Sendable, BitwiseCopyable {
    private var first = HelperName()
    private var second = HelperName()

    /// The most bytes.
    static let maximumByteCount = 30

    /// No function.
    @inline(__always)
    init() {}

    /// A name from its bytes; nil if it is longer than 30 of them.
    init?(_ bytes: RawSpan) {
        let half = min(bytes.byteCount, 15)
        guard bytes.byteCount <= Self.maximumByteCount,
            let first = HelperName(bytes.extracting(0..<half)),
            let second = HelperName(bytes.extracting(half..<bytes.byteCount))
        else { return nil }
        self.first = first
        self.second = second
    }

    /// The byte at a place from 0 to 29; 0 past the name's end.
    package subscript(index: Int) -> UInt8 { index < 15 ? first[index] : second[index - 15] }

    /// How many bytes it has.
    package var count: Int { first.count + second.count }
}
