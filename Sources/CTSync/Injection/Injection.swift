// SPDX-License-Identifier: GPL-2.0-or-later

/// What this node's kernel has of a replica: 8 bytes, in the place that the book has for it.
struct Injection: BitwiseCopyable {
    var state = KernelState.absent
    var parenthood = Parenthood.asSaid
    /// How often the task was refused and asked for again in another way.
    var attempts: UInt8 = 0
    var marks: Marks = []
    /// When the kernel was last given the long timeout, in seconds of the slave's clock.
    var heldAtSeconds: UInt32 = 0

    /// How the kernel is told of a replica's parent.
    enum Parenthood: UInt8, BitwiseCopyable {
        /// As the master said; it may have none.
        case asSaid
        /// The same, but it is not there: the replica is in `ReplicaTable.waiting`.
        case awaited
        /// Not at all: it did not come. The replica is in `ReplicaTable.orphans`, if there was room.
        case leftOut
    }

    /// What has nothing to do with each other, nor with the state.
    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt8
        /// It is in the queue.
        static let queued = Marks(rawValue: 1 << 0)
        /// This node lacks its helper: the kernel is not told of one.
        static let helperless = Marks(rawValue: 1 << 1)
        /// The running check has found it in the kernel.
        static let seen = Marks(rawValue: 1 << 2)
        /// The last look after a promotion saw packets of one direction only.
        static let oneSided = Marks(rawValue: 1 << 3)
        /// The kernel's entry was made while no rule of this node used labels: it can have none.
        static let labelless = Marks(rawValue: 1 << 4)
        /// Packets may have passed that this kernel did not see, between others that it saw: its windows
        /// are out of step, and packets are let pass whatever they are (BE_LIBERAL).
        static let outOfStep = Marks(rawValue: 1 << 5)
    }
}

/// What this node's kernel has of everything in a book, and the places of which something is to be
/// asked, each once, in the order in which they became so.
struct KernelBook: ~Copyable {
    /// Unset for places that were never reset.
    private let injections: UnsafeMutablePointer<Injection>
    /// How many the kernel has refused.
    private(set) var refusedCount = 0
    /// How many wait for their parent.
    private(set) var waitingCount = 0
    /// How many places are queued.
    private(set) var queuedCount = 0

    private let capacity: Int
    private let queue: UnsafeMutablePointer<UInt32>
    private var head = 0
    private let injectionMemory: MappedMemory
    private let queueMemory: MappedMemory

    /// Reserves the memory for as many places as the book has.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(capacity: Int) throws(SystemError) {
        let pages = try MappedMemory(byteCount: capacity * MemoryLayout<Injection>.stride)
        let queuePages = try MappedMemory(byteCount: capacity * MemoryLayout<UInt32>.stride)
        self.capacity = capacity
        injections = pages.base.bindMemory(to: Injection.self, capacity: capacity)
        queue = queuePages.base.bindMemory(to: UInt32.self, capacity: capacity)
        injectionMemory = pages
        queueMemory = queuePages
    }

    subscript(place: UInt32) -> Injection {
        _read { yield injections[Int(place)] }
        nonmutating _modify { yield &injections[Int(place)] }
    }

    /// Has an event happen to a place: the only way in which a state changes.
    mutating func move(_ place: UInt32, _ event: KernelState.Event) {
        let before = injections[Int(place)].state
        let after = before.after(event)
        if after.isTask, !event.isDeletion { enqueue(place) }
        guard after != before else { return }
        injections[Int(place)].state = after
        refusedCount += (after.isRefused ? 1 : 0) - (before.isRefused ? 1 : 0)
        waitingCount += (after == .waiting ? 1 : 0) - (before == .waiting ? 1 : 0)
    }

    /// Enters or forgets a place that is not queued, and of which the kernel has nothing.
    func reset(_ place: UInt32) {
        injections[Int(place)] = Injection()
    }

    /// Enters a place of which the kernel had an entry already: what its next word is to be.
    func adopt(_ place: UInt32, as task: KernelState.Task, heldAtSeconds: UInt32) {
        reset(place)
        injections[Int(place)].state = .adopted(task)
        injections[Int(place)].heldAtSeconds = heldAtSeconds
    }

    /// Forgets all places below `highWater`.
    mutating func removeAll(highWater: Int) {
        for place in 0..<highWater { injections[place] = Injection() }
        head = 0
        queuedCount = 0
        refusedCount = 0
        waitingCount = 0
    }

    // MARK: The queue

    private mutating func enqueue(_ place: UInt32) {
        guard !injections[Int(place)].marks.contains(.queued) else { return }
        injections[Int(place)].marks.insert(.queued)
        queue[wrapped(head + queuedCount)] = place
        queuedCount += 1
    }

    /// The place that has so many before it in the queue.
    func queued(at index: Int) -> UInt32 { queue[wrapped(head + index)] }

    /// Takes the first place out of the queue.
    mutating func dequeue() -> UInt32 {
        let place = queue[head]
        queuedCount -= 1
        // So that it uses no more memory than the longest queue there was.
        head = queuedCount == 0 ? 0 : wrapped(head + 1)
        injections[Int(place)].marks.remove(.queued)
        return place
    }

    /// A walk through what is queued now: once to look for deletions, once to take it out. What is
    /// queued meanwhile is for the next round.
    struct Round {
        fileprivate let count: Int
        private var looked = 0
        private var dequeued = 0

        fileprivate init(count: Int) { self.count = count }

        /// The number in the queue of the next place to look at; nil when all were.
        mutating func nextToLookAt() -> Int? {
            guard looked < count else { return nil }
            defer { looked += 1 }
            return looked
        }

        /// Whether one more place is to be dequeued.
        mutating func mayDequeue() -> Bool {
            guard dequeued < count else { return false }
            dequeued += 1
            return true
        }
    }

    /// Begins a round.
    func beginRound() -> Round { Round(count: queuedCount) }

    private func wrapped(_ index: Int) -> Int { index < capacity ? index : index - capacity }

    /// Calls `fault` with what is not as it must be between two calls of an injector.
    ///
    /// - Parameter standing: of a place, as the book has it.
    func assertValid(
        highWater: Int, _ standing: (UInt32) -> Replica.Standing, _ fault: (String) -> Void
    ) {
        var (refused, waiting, marked) = (0, 0, 0)
        // Of equally many places in two lists, one may be there twice only if the sums differ.
        var sum: UInt64 = 0
        for place in 0..<UInt32(highWater) {
            let injection = self[place]
            let isQueued = injection.marks.contains(.queued)
            if isQueued { marked += 1 }
            if isQueued { sum &+= Self.weight(place) }
            if injection.state.isRefused { refused += 1 }
            if injection.state == .waiting { waiting += 1 }
            if !Self.fits(injection.state, isQueued, standing(place)) {
                fault("place \(place) is \(standing(place)), \(injection)")
            }
        }
        for index in 0..<queuedCount { sum &-= Self.weight(queued(at: index)) }
        if marked != queuedCount || sum != 0 { fault("\(queuedCount) queued, \(marked) marked") }
        if refused != refusedCount { fault("\(refused) refused, \(refusedCount) counted") }
        if waiting != waitingCount { fault("\(waiting) waiting, \(waitingCount) counted") }
    }

    private static func weight(_ place: UInt32) -> UInt64 {
        let product = (UInt64(place) &+ 1).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low &* 0xD6E8_FEB8_6659_FD93
    }

    private static func fits(
        _ state: KernelState, _ isQueued: Bool, _ standing: Replica.Standing
    ) -> Bool {
        switch (standing, state) {
        case (.free, .absent): !isQueued
        case (.free, _): false
        // It came and went before the kernel was told.
        case (.dead, .absent): isQueued
        case (.dead, .removing): isQueued
        case (.dead, .refused(.remove)): true
        case (.dead, _): false
        // It was queued, and the kernel has removed it together with its parent.
        case (.alive, .absent): true
        case (.alive, .removing), (.alive, .refused(.remove)): false
        case (.alive, .adopted(.create)), (.alive, .adopted(.remove)): false
        case (.alive, _): state.isTask == isQueued
        }
    }
}
