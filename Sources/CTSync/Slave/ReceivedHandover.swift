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
