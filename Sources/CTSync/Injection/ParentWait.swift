// SPDX-License-Identifier: GPL-2.0-or-later

/// The related entries that wait for their parent: bounded in number and in time.
///
/// Its memory is taken once; places are those of the replica table.
struct ParentWait: ~Copyable {
    /// The most that wait; one more is created without its parent at once.
    static let capacity = 4_096
    /// How long one waits.
    static let patienceSeconds: UInt32 = 10
    /// How many are looked at at a time.
    static let budget = 256

    struct Waiter: BitwiseCopyable {
        var place: UInt32
        var deadlineSeconds: UInt32
    }

    /// How many wait.
    private(set) var count = 0
    /// How many found their parent after waiting.
    var found: UInt64 = 0
    /// How many were created without it: it did not come in time ...
    var timedOut: UInt64 = 0
    /// ... or too many were waiting.
    var crowdedOut: UInt64 = 0

    private let memory: MappedMemory
    private let waiters: UnsafeMutablePointer<Waiter>
    private var cursor = 0

    init() throws(SystemError) {
        memory = try MappedMemory(byteCount: Self.capacity * MemoryLayout<Waiter>.stride)
        waiters = memory.base.bindMemory(to: Waiter.self, capacity: Self.capacity)
    }

    /// Adds one that is not there; false if too many wait.
    mutating func add(_ place: UInt32, now: UInt32) -> Bool {
        guard count < Self.capacity else { return false }
        waiters[count] = Waiter(place: place, deadlineSeconds: now &+ Self.patienceSeconds)
        count += 1
        return true
    }

    /// Takes one out.
    mutating func remove(_ place: UInt32) {
        for index in 0..<count where waiters[index].place == place {
            remove(at: index)
            return
        }
    }

    /// Forgets all.
    mutating func removeAll() {
        count = 0
        cursor = 0
    }

    /// Calls `body` with the place of each.
    mutating func lookAtAll(_ body: (inout ParentWait, UInt32) -> Void) {
        for index in 0..<count { body(&self, waiters[index].place) }
    }

    private mutating func remove(at index: Int) {
        count -= 1
        waiters[index] = waiters[count]
    }

    /// Hands out the next few, in turn; those for which `body` says so are taken out.
    mutating func look(_ body: (inout ParentWait, Waiter) -> Bool) {
        for _ in 0..<min(count, Self.budget) {
            if cursor >= count { cursor = 0 }
            guard cursor < count else { return }
            if body(&self, waiters[cursor]) {
                remove(at: cursor)
            } else {
                cursor += 1
            }
        }
    }
}
