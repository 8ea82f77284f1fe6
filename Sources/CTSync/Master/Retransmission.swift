// SPDX-License-Identifier: GPL-2.0-or-later

/// Which packets of the backlog are to be sent again, to whom, in the order they were asked for.
///
/// A queue of fixed length; when it is full further requests are dropped, and the slave asks again.
/// The same packet goes to the same slave at most once in `pause`, however often it is asked for, and
/// a slave gets at most `bytesPerSecond`.
struct Retransmission: ~Copyable {
    /// One packet for one slave.
    struct Item: Equatable {
        var sequence: UInt64
        var peer: PeerAddress
    }

    /// How soon the same packet may go to the same slave again.
    static let pause = 4 * Duration.millisecond
    /// Bytes that go to one slave again in a second.
    static let bytesPerSecond = 8 * 1_024 * 1_024
    private static let capacity = 4096

    /// Requests dropped because the queue was full, or the slave's budget spent.
    private(set) var dropped: UInt64 = 0
    private let items: UnsafeMutablePointer<Item>
    private let answered: UnsafeMutablePointer<(Item, Instant)>
    /// For each node since when it is counted, and the bytes since then.
    private let spent: UnsafeMutablePointer<(since: Instant, bytes: Int)>
    private var head = 0
    private var count = 0

    init() {
        let none = Item(sequence: 0, peer: PeerAddress(address: .any, family: .ipv4, port: 0))
        items = .allocate(capacity: Self.capacity)
        items.initialize(repeating: none, count: Self.capacity)
        answered = .allocate(capacity: Self.capacity)
        answered.initialize(repeating: (none, 0), count: Self.capacity)
        spent = .allocate(capacity: 256)
        spent.initialize(repeating: (0, 0), count: 256)
    }

    deinit {
        items.deallocate()
        answered.deallocate()
        spent.deallocate()
    }

    /// Whether nothing is to be sent again.
    var isEmpty: Bool { count == 0 }

    /// Forgets all requests.
    mutating func reset() {
        head = 0
        count = 0
    }

    /// Takes a slave's request, but for what it was sent a moment ago.
    ///
    /// - Parameters:
    ///   - kept: the packets that there are; others are not asked for.
    ///   - byteCount: bytes of a packet.
    /// - Returns: how many packets were queued.
    mutating func request(
        _ range: SequenceRange, of nodeID: UInt8, at peer: PeerAddress,
        kept: ClosedRange<UInt64>, byteCount: Int, now: Instant
    ) -> Int {
        let asked = range.first.addingReportingOverflow(UInt64(range.count) &- 1)
        let first = max(range.first, kept.lowerBound)
        let last = min(asked.overflow ? .max : asked.partialValue, kept.upperBound)
        guard range.count > 0, first <= last else { return 0 }
        let budget = spent + Int(nodeID)
        if now >= budget.pointee.since + Duration.second { budget.pointee = (now, 0) }
        var queued = 0
        for step in 0...min(last - first, UInt64(Self.capacity - 1)) {
            let item = Item(sequence: first + step, peer: peer)
            let spread = Int(truncatingIfNeeded: item.sequence) ^ (Int(peer.link) << 10)
            let memory = answered + spread & (Self.capacity - 1)
            if memory.pointee.0 == item, now < memory.pointee.1 + Self.pause { continue }
            guard count < Self.capacity,
                budget.pointee.bytes + byteCount <= Self.bytesPerSecond
            else {
                dropped += 1
                continue
            }
            budget.pointee.bytes += byteCount
            memory.pointee = (item, now)
            items[(head + count) & (Self.capacity - 1)] = item
            count += 1
            queued += 1
        }
        return queued
    }

    /// The next packet to send again; nil if there is none.
    mutating func next() -> Item? {
        guard count > 0 else { return nil }
        let item = items[head]
        head = (head + 1) & (Self.capacity - 1)
        count -= 1
        return item
    }
}
