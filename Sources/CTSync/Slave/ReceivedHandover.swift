// SPDX-License-Identifier: GPL-2.0-or-later

/// What a master that lacks something takes over from another node: how late what it is handed is, how
/// far it has come, and whether it is complete.
struct ReceivedHandover {
    /// This node's epoch, and the id of the node that hands over.
    let donor: MasterClaim
    /// The last words of both.
    private let words: LastWords
    /// How late what is handed now is, as its bracket says.
    private var bracketWord = Basis.none
    /// How far it had come, and since when.
    private var advanced: (to: UInt64, at: Instant)
    /// Whether all of it has come.
    private(set) var isComplete = false

    /// Begins, with a stream of which nothing has come.
    init(from donor: MasterClaim, _ words: LastWords, now: Instant) {
        self.donor = donor
        self.words = words
        advanced = (0, now)
    }

    /// A begin was received: what follows has its word.
    mutating func begin(_ bracket: Bracket) {
        bracketWord = bracket.basis
    }

    /// How late a message is that is handed over.
    ///
    /// A donor of an earlier version tells in another way what it has heard last.
    func word(of message: Message) -> Basis {
        message.kind.has(MessageKind.heard) ? words.donor : bracketWord
    }

    /// The end was received.
    mutating func end(isComplete: Bool) {
        self.isComplete = isComplete
    }

    /// Whether nothing has come for so long that it is to be asked for again.
    ///
    /// - Parameters:
    ///   - applied: how far its stream has come.
    ///   - isAsking: whether a request for it is due anyhow.
    mutating func isStuck(applied: UInt64, isAsking: Bool, now: Instant) -> Bool {
        if advanced.to != applied { advanced = (applied, now) }
        return !isComplete && !isAsking && now > advanced.at + SlaveProtocol.silence
    }

    /// Its stream is begun again.
    mutating func restart(now: Instant) {
        advanced = (0, now)
    }
}

/// Up to where the streams of donors were taken. One that is asked again a moment later goes on with the same
/// stream: from its first packet, packets that come late once more would be taken for new ones, and their end
/// for that of what has begun since.
struct TakenStreams {
    /// A donor that is asked for nothing ends its stream after three seconds.
    private static let patience = 2 * Duration.second

    private var streams: [(donor: MasterClaim, next: UInt64, at: Instant)] = []

    /// Checks that no donor has two. For tests.
    ///
    /// - Parameter report: called with each contradiction.
    func assertValid(_ report: (String) -> Void) {
        for (index, stream) in streams.enumerated() {
            let isTwice = streams[..<index].contains { $0.donor == stream.donor }
            if isTwice { report("two streams of \(stream.donor)") }
        }
    }

    /// Records that all of a stream was taken before this packet of it.
    mutating func took(_ donor: MasterClaim, before next: UInt64, now: Instant) {
        streams.removeAll { $0.donor == donor || now >= $0.at + Self.patience }
        streams.append((donor, next, now))
    }

    /// Forgets a stream: it is begun again.
    mutating func forget(_ donor: MasterClaim) {
        streams.removeAll { $0.donor == donor }
    }

    /// The packet from which on a donor is to be asked.
    func next(of donor: MasterClaim, now: Instant) -> UInt64 {
        let stream = streams.first { $0.donor == donor && now < $0.at + Self.patience }
        return stream?.next ?? 1
    }
}
