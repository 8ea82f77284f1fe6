// SPDX-License-Identifier: GPL-2.0-or-later

/// Which packets of the backlog are to be sent again, to whom, in the order they were asked for.
///
/// A queue of fixed length; when it is full further requests are dropped, and the slave asks again.
/// The same packet goes to the same slave at most once in `pause`, however often it is asked for.
struct Retransmission: ~Copyable {
    /// One packet for one slave.
    struct Item: Equatable {
        var sequence: UInt64
        var peer: PeerAddress
    }

    /// How soon the same packet may go to the same slave again.
    static let pause = 4 * Duration.millisecond
    private static let capacity = 4096

    /// Requests dropped because the queue was full.
    private(set) var dropped: UInt64 = 0
    private let items: UnsafeMutablePointer<Item>
    private let answered: UnsafeMutablePointer<(Item, Instant)>
    private var head = 0
    private var count = 0

    init() {
        let none = Item(sequence: 0, peer: PeerAddress(address: .any, family: .ipv4, port: 0))
        items = .allocate(capacity: Self.capacity)
        items.initialize(repeating: none, count: Self.capacity)
        answered = .allocate(capacity: Self.capacity)
        answered.initialize(repeating: (none, 0), count: Self.capacity)
    }

    deinit {
        items.deallocate()
        answered.deallocate()
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
    /// - Returns: how many packets were queued.
    mutating func request(_ range: SequenceRange, from peer: PeerAddress, now: Instant) -> Int {
        var queued = 0
        for step in 0..<min(UInt64(range.count), UInt64(Self.capacity)) {
            let item = Item(sequence: range.first &+ step, peer: peer)
            let memory = answered + Int(truncatingIfNeeded: item.sequence) & (Self.capacity - 1)
            if memory.pointee.0 == item, now < memory.pointee.1 + Self.pause { continue }
            guard count < Self.capacity else {
                dropped += 1
                continue
            }
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
