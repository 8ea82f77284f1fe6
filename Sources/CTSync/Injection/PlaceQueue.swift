// SPDX-License-Identifier: GPL-2.0-or-later

/// Places in the order in which they came: a ring with room for each place once.
///
/// Its memory is reserved at once, and used as far as the longest queue that there was.
struct PlaceQueue: ~Copyable {
    /// How many there are.
    private(set) var count = 0

    private let capacity: Int
    private let places: UnsafeMutablePointer<UInt32>
    private var head = 0
    private let memory: MappedMemory

    /// Reserves the memory for places below a capacity.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(capacity: Int) throws(SystemError) {
        let pages = try MappedMemory(byteCount: capacity * MemoryLayout<UInt32>.stride)
        self.capacity = capacity
        places = pages.base.bindMemory(to: UInt32.self, capacity: capacity)
        memory = pages
    }

    /// The place that has so many before it.
    subscript(index: Int) -> UInt32 { places[wrapped(head + index)] }

    /// Has two places, each with so many before it, change theirs.
    func swapAt(_ first: Int, _ second: Int) {
        let (one, other) = (wrapped(head + first), wrapped(head + second))
        (places[one], places[other]) = (places[other], places[one])
    }

    /// Appends a place that is not in it.
    mutating func append(_ place: UInt32) {
        places[wrapped(head + count)] = place
        count += 1
    }

    /// Takes the first place out of a queue that has one.
    mutating func removeFirst() -> UInt32 {
        let place = places[head]
        count -= 1
        head = count == 0 ? 0 : wrapped(head + 1)
        return place
    }

    /// Forgets all.
    mutating func removeAll() { (head, count) = (0, 0) }

    private func wrapped(_ index: Int) -> Int { index < capacity ? index : index - capacity }
}
