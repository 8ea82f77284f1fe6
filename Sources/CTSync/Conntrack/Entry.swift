// SPDX-License-Identifier: GPL-2.0-or-later

/// A connection-tracking entry, or as much of it as an event or a message said.
///
/// Tuples and zone are always there; `fields` says which of the rest are.
public struct Entry: Equatable, Sendable, BitwiseCopyable {
    /// Original tuple and zone.
    public var key: Key
    /// The reply tuple; it differs from the original's inverse where addresses are translated.
    public var reply: Tuple
    /// Which of the following were said.
    public var fields: Fields = []
    /// CTA_STATUS
    public var status: Status = []
    /// CTA_TIMEOUT in seconds.
    public var timeoutSeconds: UInt32 = 0
    /// CTA_MARK
    public var mark: UInt32 = 0
    /// CTA_ID: tells entries of equal tuples apart, on its own node only; never on the wire.
    public var id: UInt32 = 0
    /// CTA_PROTOINFO
    public var protocolInfo = ProtocolInfo()
    /// What few entries have.
    public var extras = Extras()

    /// An entry of this key, not translated, of which nothing else is known.
    @inline(__always)
    public init(_ key: Key) {
        self.key = key
        reply = key.tuple.inverse
    }

    /// The parts of an entry that an event or a message may lack.
    public struct Fields: OptionSet, Hashable, Sendable, BitwiseCopyable {
        /// One bit a part.
        public let rawValue: UInt16
        /// A set of parts.
        @inline(__always)
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// `status`
        public static let status = Fields(rawValue: 1 << 0)
        /// `timeoutSeconds`
        public static let timeout = Fields(rawValue: 1 << 1)
        /// `mark`
        public static let mark = Fields(rawValue: 1 << 2)
        /// `protocolInfo`
        public static let protocolInfo = Fields(rawValue: 1 << 3)
        /// `extras.master`
        public static let master = Fields(rawValue: 1 << 4)
        /// `extras.helper`
        public static let helper = Fields(rawValue: 1 << 5)
        /// `extras.labelsLow` and `labelsHigh`
        public static let labels = Fields(rawValue: 1 << 6)
        /// `extras.originalAdjustment` and `replyAdjustment`
        public static let sequenceAdjustment = Fields(rawValue: 1 << 7)
        /// `extras.synproxyISN`, `synproxyITS` and `synproxyTSOffset`
        public static let synproxy = Fields(rawValue: 1 << 8)
        /// `id`
        public static let id = Fields(rawValue: 1 << 9)
        /// The parts that stand in `extras`.
        public static let extras: Fields = [
            .master, .helper, .labels, .sequenceAdjustment, .synproxy,
        ]
    }

    /// Whether addresses or ports are translated.
    @inline(__always)
    public var isTranslated: Bool { reply != key.tuple.inverse }

    /// Whether a kernel entry can be made of it: status and timeout are there, and for TCP and SCTP
    /// the protocol state.
    @inline(__always)
    public var isSufficient: Bool {
        let needsState =
            key.tuple.protocolNumber == ProtocolNumber.tcp
            || key.tuple.protocolNumber == ProtocolNumber.sctp
        let needed: Fields =
            needsState ? [.status, .timeout, .protocolInfo] : [.status, .timeout]
        return fields.isSuperset(of: needed)
    }
}
