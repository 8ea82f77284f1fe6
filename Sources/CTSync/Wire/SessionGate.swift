// SPDX-License-Identifier: GPL-2.0-or-later

/// Lets each packet of a node that is there now through once, and no recorded one.
///
/// That a tag fits proves that a packet was made with the key, not when. So:
///
/// 1. A session (one start of a node) is believed when it has sent back a random number of ours. Until
///    then its packets only bring about that number, at most every `challengeInterval`.
/// 2. A node has one session: when a new one is proven, the old one is not believed any more, and
///    cannot prove itself again.
/// 3. Of a proven session each counter passes once, and none that is older than the proof: what a node
///    said before is not needed, it is asked for again or comes with an initsync.
/// 4. The same packet may come by several ways: by each link, and in each family. It passes once; by
///    each other way it is a double once (`isDouble`), and a replay after that.
///
/// No input or output of its own: random numbers and the time come from outside. One thread. The
/// memory is taken when it is made.
final class SessionGate {
    /// The least time between two challenges to one session; also the longest that a session which
    /// does not answer keeps its place from another one.
    static let challengeInterval = 20 * Duration.millisecond
    /// The same while it does not answer, doubled from `challengeInterval`.
    static let longestInterval = 1 * Duration.second
    /// Sessions of one node that are asked at a time; recorded ones that cannot answer among them.
    static let candidateLimit = 4
    /// HELLOs answered in a second that come from sessions which are not proven.
    static let answersPerSecond: UInt64 = 200
    /// For how long after a proof packets from before it may still be on their way.
    static let lateness = 1 * Duration.second

    /// What becomes of a packet whose tag fits.
    enum Verdict: Equatable, Sendable {
        /// It is new, of a session that is proven.
        case passes
        /// It has come before, or is older than the proof.
        case replayed
        /// Its session is not proven; this is to be sent to where it came from, if anything.
        case unproven(SealHello?)
    }

    /// The HELLO that has proved a session: its counter, and when it came.
    private struct Proof {
        var counter: UInt64 = 0
        var at: Instant = 0
    }

    private struct Candidate {
        var salt: UInt64 = 0
        var challenge: UInt64 = 0
        var askedAt: Instant = 0
        var interval: UInt64 = 0
    }

    private let own: SealSessionID
    private let random: () -> UInt64
    private let memory: MappedMemory
    private let wordCount: Int
    /// By node id: the proven session's salt, 0 for none, and its window.
    private let salts: UnsafeMutablePointer<UInt64>
    private let windows: UnsafeMutablePointer<ReplayWindow>
    private let proofs: UnsafeMutablePointer<Proof>
    /// How many ways there are; and, if several, for each node id and way what has come by it.
    private let wayCount: Int
    private let arrivals: UnsafeMutablePointer<ReplayWindow>
    /// `candidateLimit` for each node id.
    private let candidates: UnsafeMutablePointer<Candidate>
    private var answersLeft = SessionGate.answersPerSecond
    private var answersFrom: Instant = 0

    /// A gate that believes nobody.
    ///
    /// - Parameters:
    ///   - own: this node's session.
    ///   - reach: counters that a window holds at least: more than packets in a master's backlog.
    ///   - wayCount: ways that a packet may come by.
    ///   - random: numbers that nobody can guess.
    /// - Throws: `SystemError` of mmap(2).
    init(
        own: SealSessionID, reach: Int, wayCount: Int = 1, random: @escaping () -> UInt64
    ) throws(SystemError) {
        self.own = own
        self.wayCount = wayCount
        self.random = random
        var count = 2
        while ReplayWindow.reach(wordCount: count) < UInt64(reach) { count *= 2 }
        wordCount = count
        let windowCount = 256 * (wayCount > 1 ? 1 + wayCount : 1)
        memory = try MappedMemory(byteCount: windowCount * count * 8)
        salts = .allocate(capacity: 256)
        salts.initialize(repeating: 0, count: 256)
        candidates = .allocate(capacity: 256 * Self.candidateLimit)
        candidates.initialize(repeating: Candidate(), count: 256 * Self.candidateLimit)
        windows = .allocate(capacity: 256)
        proofs = .allocate(capacity: 256)
        proofs.initialize(repeating: Proof(), count: 256)
        arrivals = .allocate(capacity: 256 * wayCount)
    }

    deinit {
        salts.deallocate()
        candidates.deallocate()
        windows.deallocate()
        proofs.deallocate()
        arrivals.deallocate()
    }

    /// Whether a session is proven.
    func isProven(_ session: SealSessionID) -> Bool {
        salts[Int(session.nodeID)] == session.salt
    }

    /// Whether a packet can pass at all: spares the tag of one that has come before.
    func mayPass(_ session: SealSessionID, _ counter: UInt64) -> Bool {
        !isProven(session) || windows[Int(session.nodeID)].isNew(counter)
    }

    /// Whether a packet that may not pass is one that the sender has sent by several ways, and that
    /// comes by this one for the first time. It is dropped like a replay, and is none.
    ///
    /// The tag need not be looked at: who forges such a packet makes the true one the replay.
    func isDouble(
        _ session: SealSessionID, _ counter: UInt64, by way: Int, now: Instant
    ) -> Bool {
        guard wayCount > 1, isProven(session) else { return false }
        let proof = proofs[Int(session.nodeID)]
        guard counter > proof.counter || now < proof.at + Self.lateness else { return false }
        return arrivals[arrival(session.nodeID, way)].take(counter)
    }

    private func arrival(_ nodeID: UInt8, _ way: Int) -> Int {
        Int(nodeID) * wayCount + min(way, wayCount - 1)
    }

    private func came(_ session: SealSessionID, _ counter: UInt64, _ way: Int) {
        guard wayCount > 1 else { return }
        _ = arrivals[arrival(session.nodeID, way)].take(counter)
    }

    // MARK: Packets

    /// Decides about a packet whose tag fits.
    ///
    /// - Parameter way: the one that it came by.
    func take(
        _ session: SealSessionID, _ counter: UInt64, by way: Int = 0, now: Instant
    ) -> Verdict {
        guard isProven(session) else {
            return .unproven(challenge(session, now: now))
        }
        guard windows[Int(session.nodeID)].take(counter) else { return .replayed }
        came(session, counter, way)
        return .passes
    }

    /// Decides about a HELLO whose tag fits.
    ///
    /// - Parameter way: the one that it came by.
    /// - Returns: what is to be sent to where it came from, if anything.
    func take(
        _ hello: SealHello, _ session: SealSessionID, _ counter: UInt64, by way: Int = 0,
        now: Instant
    ) -> SealHello? {
        guard hello.receiverSalt == own.salt, session.nodeID != own.nodeID else { return nil }
        if isProven(session) {
            guard windows[Int(session.nodeID)].take(counter) else { return nil }
        } else if hello.answer != 0, let place = candidate(session),
            candidates[place].challenge == hello.answer
        {
            prove(session, counter, now)
        }
        if isProven(session) { came(session, counter, way) }
        guard hello.challenge != 0 else { return nil }
        var reply = SealHello(
            receiverSalt: session.salt, challenge: 0, answer: hello.challenge)
        if !isProven(session) {
            guard mayAnswer(now) else { return nil }
            reply.challenge = challenge(session, now: now)?.challenge ?? 0
        }
        return reply
    }

    private func prove(_ session: SealSessionID, _ counter: UInt64, _ now: Instant) {
        let node = Int(session.nodeID)
        salts[node] = session.salt
        proofs[node] = Proof(counter: counter, at: now)
        windows[node] = ReplayWindow(words(node), wordCount: wordCount, after: counter)
        let reach = ReplayWindow.reach(wordCount: wordCount)
        for way in 0..<(wayCount > 1 ? wayCount : 0) {
            let place = arrival(session.nodeID, way)
            arrivals[place] = ReplayWindow(
                words(256 + place), wordCount: wordCount, after: max(counter, reach) - reach)
        }
        // Whoever else waited is a recording, or the next start, which will ask again.
        for place in places(session.nodeID) { candidates[place] = Candidate() }
    }

    private func words(_ place: Int) -> UnsafeMutablePointer<UInt64> {
        memory.base.assumingMemoryBound(to: UInt64.self) + place * wordCount
    }

    // MARK: Challenges

    private func places(_ nodeID: UInt8) -> Range<Int> {
        let first = Int(nodeID) * Self.candidateLimit
        return first..<first + Self.candidateLimit
    }

    private func candidate(_ session: SealSessionID) -> Int? {
        places(session.nodeID).first { candidates[$0].salt == session.salt }
    }

    /// A question to a session, if it is time for one.
    private func challenge(_ session: SealSessionID, now: Instant) -> SealHello? {
        guard session.salt != 0, session.nodeID != own.nodeID else { return nil }
        if let place = candidate(session) {
            guard now >= candidates[place].askedAt + candidates[place].interval else { return nil }
            candidates[place].interval = min(
                2 * candidates[place].interval, Self.longestInterval)
            return ask(session, place, now)
        }
        // A free place, or that of the one that has been silent longest.
        var oldest = places(session.nodeID).lowerBound
        for place in places(session.nodeID)
        where candidates[place].askedAt < candidates[oldest].askedAt {
            oldest = place
        }
        let isFree = candidates[oldest].salt == 0
        guard isFree || now >= candidates[oldest].askedAt + Self.challengeInterval else {
            return nil
        }
        candidates[oldest] = Candidate(
            salt: session.salt, challenge: number(), askedAt: now,
            interval: Self.challengeInterval)
        return ask(session, oldest, now)
    }

    private func ask(
        _ session: SealSessionID, _ place: Int, _ now: Instant
    ) -> SealHello {
        candidates[place].askedAt = now
        return SealHello(
            receiverSalt: session.salt, challenge: candidates[place].challenge, answer: 0)
    }

    private func number() -> UInt64 {
        while true {
            let number = random()
            if number != 0 { return number }
        }
    }

    private func mayAnswer(_ now: Instant) -> Bool {
        if now >= answersFrom + Duration.second {
            answersFrom = now
            answersLeft = Self.answersPerSecond
        }
        guard answersLeft > 0 else { return false }
        answersLeft -= 1
        return true
    }
}
