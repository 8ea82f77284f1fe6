// SPDX-License-Identifier: GPL-2.0-or-later

/// How late a word is, by who gave it: where two nodes know different things of a connection, the
/// later word is right.
///
/// The word of a connection is as late as the packet up to which the node has heard everything since
/// the connection was last spoken of. So the generations of the ledger are cut into spans of one word
/// each: a stream that is followed begins one, packets that are lost end it, and so do the words that
/// another node hands over.
struct LaterWords {
    private struct Span: Equatable {
        var since: UInt16
        var word: Basis
    }

    /// The most spans: of two early ones the less late word is then taken for both.
    private static let limit = 128

    /// By generation, the first for all before it. Outside this value, which is moved with each
    /// replica.
    private var spans: [Span]
    /// The place of the span of what is heard now; the ones after it are what was handed over.
    private var open = 0
    /// Of what the kernel had when the node became slave.
    private(set) var adopted = Ledger.Word(generation: 0, voice: .kernel)

    init() {
        spans = [Span(since: 0, word: .none), Span(since: 1, word: .none)]
        spans.reserveCapacity(Self.limit + 1)
        open = 1
    }

    /// How late what the kernel had is, and the word of an entry that is not among the replicas.
    var unread: Basis { basis(of: adopted) }

    /// The earliest that is known still.
    var earliest: Ledger.Word { Ledger.Word(generation: spans[0].since, voice: .kernel) }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        if spans.count > Self.limit { fault("\(spans.count) spans of words") }
        if !spans.indices.contains(open) { fault("what is heard is in no span") }
        if place(of: adopted) > open { fault("what was adopted is later than what is heard") }
        for (before, after) in zip(spans, spans.dropFirst())
        where Int16(bitPattern: after.since &- before.since) < 0 {
            fault("a span since \(after.since) after one since \(before.since)")
        }
    }

    /// Begins again with a word of what the kernel has; what is heard from the next generation on is
    /// of a span of its own.
    ///
    /// - Parameter keepsSpans: whether there are still words of before.
    mutating func begin(adopted word: Basis, _ generation: UInt16, keepsSpans: Bool) {
        if !keepsSpans { spans.removeAll(keepingCapacity: true) }
        adopted = Ledger.Word(generation: generation, voice: .kernel)
        append(Span(since: generation, word: word))
        append(Span(since: generation &+ 1, word: .none))
        open = spans.count - 1
    }

    /// What is heard now is as late as this so far.
    mutating func goOn(to word: Basis) { spans[open].word = word }

    /// Ends the span of what was heard until now: everything up to this word. The next one begins with
    /// this generation.
    mutating func hear(after word: Basis, _ generation: UInt16) {
        goOn(to: word)
        append(Span(since: generation, word: .none))
        open = spans.count - 1
    }

    /// The generation of what has a word that another node hands over, if there is one.
    func generation(of word: Basis) -> UInt16? {
        spans.last { $0.word == word }?.since
    }

    /// From this generation on things have a word that another node hands over.
    mutating func take(_ word: Basis, _ generation: UInt16) {
        append(Span(since: generation, word: word))
    }

    /// How late a word is.
    func basis(of word: Ledger.Word) -> Basis { spans[place(of: word)].word }

    /// How many different words there may be.
    var count: Int { spans.count }

    /// How late the words in this place are for others: what is being heard is the word of who is
    /// heard, and no news to it.
    func handed(_ place: Int) -> Basis { place == open ? .none : spans[place].word }

    /// The first place of words of later generations; `count` if there is none.
    func firstPlace(after generation: UInt16) -> Int {
        spans.firstIndex { Int16(bitPattern: $0.since &- generation) > 0 } ?? spans.count
    }

    /// In which place a word is.
    func place(of word: Ledger.Word) -> Int {
        spans.lastIndex { Int16(bitPattern: word.generation &- $0.since) >= 0 } ?? 0
    }

    private mutating func append(_ span: Span) {
        spans.append(span)
        guard spans.count > Self.limit else { return }
        let kept = (open, self.place(of: adopted))
        let first = (1..<spans.count).first { place in
            ![place - 1, place].contains { $0 == kept.0 || $0 == kept.1 }
        }
        guard let place = first else { return }
        spans[place - 1].word = min(spans[place - 1].word, spans[place].word)
        spans.remove(at: place)
        if open > place { open -= 1 }
    }
}
