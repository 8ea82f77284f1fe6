// SPDX-License-Identifier: GPL-2.0-or-later

/// A connection-tracking entry, or as much of it as an event or a message said.
///
/// Tuples and zone are always there; `fields` says which of the rest are.
package struct Entry: Equatable, Sendable, BitwiseCopyable {
    /// Original tuple and zone.
    package var key: Key
    /// The reply tuple; it differs from the original's inverse if addresses are translated.
    package var reply: Tuple
    /// Which of the following were said.
    package var fields: Fields = []
    /// CTA_STATUS
    package var status: Status = []
    /// CTA_TIMEOUT in seconds.
    package var timeoutSeconds: UInt32 = 0
    /// CTA_MARK
    package var mark: UInt32 = 0
    /// CTA_ID: tells entries of equal tuples apart, on its own node only; never on the wire.
    package var id: UInt32 = 0
    /// CTA_PROTOINFO
    package var protocolInfo = ProtocolInfo()
    /// What few entries have.
    package var extras = Extras()

    /// An entry of this key, not translated, of which nothing else is known.
    @inline(__always)
    package init(_ key: Key) {
        self.key = key
        reply = key.tuple.inverse
    }

    /// The parts of an entry that an event or a message may lack.
    package struct Fields: OptionSet, Hashable, Sendable, BitwiseCopyable {
        /// One bit a part.
        package let rawValue: UInt16
        /// A set of parts.
        @inline(__always)
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        /// `status`
        package static let status = Fields(rawValue: 1 << 0)
        /// `timeoutSeconds`
        package static let timeout = Fields(rawValue: 1 << 1)
        /// `mark`
        package static let mark = Fields(rawValue: 1 << 2)
        /// `protocolInfo`
        package static let protocolInfo = Fields(rawValue: 1 << 3)
        /// `extras.parent`
        package static let parent = Fields(rawValue: 1 << 4)
        /// `extras.helper`
        package static let helper = Fields(rawValue: 1 << 5)
        /// `extras.labelsLow` and `labelsHigh`
        package static let labels = Fields(rawValue: 1 << 6)
        /// `extras.originalAdjustment` and `replyAdjustment`
        package static let sequenceAdjustment = Fields(rawValue: 1 << 7)
        /// `extras.synproxyISN`, `synproxyITS` and `synproxyTSOffset`
        package static let synproxy = Fields(rawValue: 1 << 8)
        /// `id`
        package static let id = Fields(rawValue: 1 << 9)
        /// The parts that stand in `extras`.
        package static let extras: Fields = [
            .parent, .helper, .labels, .sequenceAdjustment, .synproxy,
        ]
    }

    /// Whether addresses or ports are translated.
    @inline(__always)
    package var isTranslated: Bool { !reply.isInverse(of: key.tuple) }

    /// Whether a kernel entry can be made of it: status and timeout are there, and for TCP and SCTP
    /// the protocol state.
    @inline(__always)
    var isSufficient: Bool { fields.suffice(for: key.tuple.protocolNumber) }
}

extension Entry.Fields {
    /// Whether a kernel entry of a protocol can be made with these.
    @inline(__always)
    func suffice(for protocolNumber: UInt8) -> Bool {
        let needsState =
            protocolNumber == ProtocolNumber.tcp || protocolNumber == ProtocolNumber.sctp
        let needed: Self = needsState ? [.status, .timeout, .protocolInfo] : [.status, .timeout]
        return isSuperset(of: needed)
    }
}
