// SPDX-License-Identifier: GPL-2.0-or-later

/// Which packets of the backlog are to be sent again, to whom, in the order they were asked for.
///
/// A queue of fixed length; when it is full further requests are dropped, and the slave asks again.
/// The same packet goes to the same slave at most once in `pause`, however often it is asked for, and
/// a slave gets at most `bytesPerSecond`.
///
/// If one packet can reach all slaves, requests wait for `gathering`: what several of them ask for
/// meanwhile they have lost in common, and it goes to all of them once. Slaves do not ask at the same
/// time: one may be busy, or ask early for what came apart just before it asked for something else. So
/// after a loss in common the next few packets go to all, whoever asks; and what went to all is on the
/// way to a slave that asks for it for the first time.
struct Retransmission: ~Copyable {
    /// One packet for one slave, or for all that hear the link on which that one asked.
    struct Item: Equatable, BitwiseCopyable {
        var sequence: UInt64
        var peer: PeerAddress
        var isForAll = false
        fileprivate(set) var due: Instant = 0
    }

    /// What was last asked for of a packet.
    private struct Answer: BitwiseCopyable {
        var sequence: UInt64 = 0
        var peer = PeerAddress(address: .any, family: .ipv4, port: 0)
        /// When it was asked for, or sent.
        var at: Instant = 0
        var isQueued = false
        var isForAll = false
        /// The slaves that asked.
        var nodes = NodeSet()
    }

    /// How soon the same packet may go to the same slave again.
    static let pause = 4 * Duration.millisecond
    /// How soon what went to all may go to one of them again: less than slaves wait to ask again.
    static let pauseOfAll = 6 * Duration.millisecond
    /// For how long what went to all is on the way to those that had not asked for it.
    static let patience = 40 * Duration.millisecond
    /// After a loss in common so many packets that one slave asks for go to all.
    static let commonCount = 8
    /// How long a request waits for those of other slaves.
    static let gathering = 2 * Duration.millisecond
    /// Bytes that go to one slave again in a second.
    static let bytesPerSecond = 8 * 1_024 * 1_024
    private static let capacity = 4096

    /// Requests dropped because the queue was full, or the slave's budget spent.
    private(set) var dropped: UInt64 = 0
    private let items: UnsafeMutablePointer<Item>
    private let answers: UnsafeMutablePointer<Answer>
    /// For each node since when it is counted, and the bytes since then.
    private let spent: UnsafeMutablePointer<(since: Instant, bytes: Int)>
    private var head = 0
    private var count = 0
    /// Whether anything was asked for: until then `answers` takes no memory.
    private var isUsed = false
    /// How many packets more go to all.
    private var commonLeft = 0

    init() {
        items = .zeroed(count: Self.capacity)
        // Zero is what `Answer()` is.
        answers = .zeroed(count: Self.capacity)
        spent = .allocate(capacity: 256)
        spent.initialize(repeating: (0, 0), count: 256)
    }

    deinit {
        items.deallocate()
        answers.deallocate()
        spent.deallocate()
    }

    /// Checks that the queue is as long as it may be, and that what is in it exists. For tests.
    ///
    /// - Parameters:
    ///   - last: the last packet that was sent.
    ///   - report: called with each contradiction.
    func assertValid(upTo last: UInt64, _ report: (String) -> Void) {
        if !(0...Self.capacity).contains(count) { report("\(count) packets are to be sent again") }
        if !isUsed, count > 0 { report("packets are to be sent again that nobody asked for") }
        if !(0...Self.commonCount).contains(commonLeft) { report("\(commonLeft) more go to all") }
        for index in 0..<count {
            let item = items[(head + index) & (Self.capacity - 1)]
            if item.sequence > last { report("\(item.sequence) is sent again first") }
        }
    }

    /// When the next packet is to be sent again; nil if there is none.
    var due: Instant? { count == 0 ? nil : items[head].due }

    /// Forgets all requests.
    mutating func reset() {
        head = 0
        count = 0
        commonLeft = 0
        guard isUsed else { return }
        isUsed = false
        answers.update(repeating: Answer(), count: Self.capacity)
    }

    /// Takes a slave's request, but for what it was sent a moment ago.
    ///
    /// - Parameters:
    ///   - kept: the packets that there are; others are not asked for.
    ///   - byteCount: bytes of a packet.
    ///   - gathers: whether other slaves may have lost the same, and one packet reaches all.
    /// - Returns: how many packets were queued.
    mutating func request(
        _ range: SequenceRange, of nodeID: UInt8, at peer: PeerAddress,
        kept: ClosedRange<UInt64>, byteCount: Int, gathers: Bool = false, now: Instant
    ) -> Int {
        let asked = range.first.addingReportingOverflow(UInt64(range.count) &- 1)
        let first = max(range.first, kept.lowerBound)
        let last = min(asked.overflow ? .max : asked.partialValue, kept.upperBound)
        guard range.count > 0, first <= last else { return 0 }
        let budget = spent + Int(nodeID)
        if now >= budget.pointee.since + Duration.second { budget.pointee = (now, 0) }
        var queued = 0
        for step in 0...min(last - first, UInt64(Self.capacity - 1)) {
            let sequence = first + step
            let answer = answer(sequence, peer.link)
            guard !isAnswered(answer, sequence, nodeID, peer, now) else { continue }
            guard count < Self.capacity,
                budget.pointee.bytes + byteCount <= Self.bytesPerSecond
            else {
                dropped += 1
                continue
            }
            budget.pointee.bytes += byteCount
            // It went to another a moment ago: the rest have lost it too.
            let isCommon =
                gathers && answer.pointee.sequence == sequence
                && answer.pointee.peer.link == peer.link && answer.pointee.peer != peer
                && now < answer.pointee.at + Self.patience
            answer.pointee = Answer(
                sequence: sequence, peer: peer, at: now, isQueued: gathers, isForAll: isCommon,
                nodes: NodeSet(nodeID))
            items[(head + count) & (Self.capacity - 1)] = Item(
                sequence: sequence, peer: peer, due: gathers ? now + Self.gathering : now)
            isUsed = true
            count += 1
            queued += 1
        }
        return queued
    }

    private func answer(_ sequence: UInt64, _ link: UInt8) -> UnsafeMutablePointer<Answer> {
        let spread = Int(truncatingIfNeeded: sequence) ^ (Int(link) << 10)
        return answers + spread & (Self.capacity - 1)
    }

    /// Whether a slave will have, or has just been sent, what it asks for; if another slave's request for
    /// it waits, it is sent to all.
    private mutating func isAnswered(
        _ answer: UnsafeMutablePointer<Answer>, _ sequence: UInt64, _ nodeID: UInt8,
        _ peer: PeerAddress, _ now: Instant
    ) -> Bool {
        guard answer.pointee.sequence == sequence, answer.pointee.peer.link == peer.link else {
            return false
        }
        let isFirst = answer.pointee.nodes.insert(nodeID)
        if answer.pointee.isQueued {
            if isFirst { answer.pointee.isForAll = true }
            return true
        }
        if answer.pointee.isForAll {
            if isFirst { commonLeft = Self.commonCount }
            let wait = isFirst ? Self.patience : Self.pauseOfAll
            return now < answer.pointee.at + wait
        }
        return answer.pointee.peer == peer && now < answer.pointee.at + Self.pause
    }

    /// Whether a packet that was asked for is still to be sent.
    func isWaiting(_ sequence: UInt64) -> Bool {
        (0..<count).contains { items[(head + $0) & (Self.capacity - 1)].sequence == sequence }
    }

    /// The next packet to send again; nil if none is due.
    mutating func next(now: Instant) -> Item? {
        guard count > 0, items[head].due <= now else { return nil }
        var item = items[head]
        head = (head + 1) & (Self.capacity - 1)
        count -= 1
        let answer = answer(item.sequence, item.peer.link)
        if answer.pointee.isQueued, answer.pointee.sequence == item.sequence,
            answer.pointee.peer == item.peer
        {
            if answer.pointee.isForAll {
                commonLeft = Self.commonCount
            } else if commonLeft > 0 {
                commonLeft -= 1
                answer.pointee.isForAll = true
            }
            item.isForAll = answer.pointee.isForAll
            answer.pointee.isQueued = false
            answer.pointee.at = now
        }
        return item
    }
}

/// Node ids.
struct NodeSet: BitwiseCopyable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    init(_ nodeID: UInt8) {
        insert(nodeID)
    }

    /// Adds an id.
    ///
    /// - Returns: whether it was not there.
    @discardableResult
    mutating func insert(_ nodeID: UInt8) -> Bool {
        let bit: UInt64 = 1 << UInt64(nodeID & 63)
        switch nodeID >> 6 {
        case 0: return Self.set(bit, in: &words.0)
        case 1: return Self.set(bit, in: &words.1)
        case 2: return Self.set(bit, in: &words.2)
        default: return Self.set(bit, in: &words.3)
        }
    }

    private static func set(_ bit: UInt64, in word: inout UInt64) -> Bool {
        defer { word |= bit }
        return word & bit == 0
    }
}
