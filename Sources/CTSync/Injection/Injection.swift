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
        /// The kernel's entry was not made by this process, and has a helper, whatever the master has said
        /// of it so far: expectations may be lost with it.
        static let helped = Marks(rawValue: 1 << 6)
        /// The round that runs has asked for its deletion.
        static let askedToGo = Marks(rawValue: 1 << 7)
    }
}

/// What this node's kernel has of everything in a book, and the places of which something is to be
/// asked, each once, in the order in which they became so: in one queue what is live, in another what an
/// initsync copies, which the live ones need not wait for.
struct KernelBook: ~Copyable {
    /// Unset for places that were never reset.
    private let injections: UnsafeMutablePointer<Injection>
    /// How many the kernel has refused.
    private(set) var refusedCount = 0
    /// How many wait for their parent.
    private(set) var waitingCount = 0
    /// Whether what becomes a task now is a copy's.
    var isCopying = false

    private var live: PlaceQueue
    private var copies: PlaceQueue
    private let injectionMemory: MappedMemory

    /// Reserves the memory for as many places as the book has.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(capacity: Int) throws(SystemError) {
        let pages = try MappedMemory(byteCount: capacity * MemoryLayout<Injection>.stride)
        let live = try PlaceQueue(capacity: capacity)
        let copies = try PlaceQueue(capacity: capacity)
        self.live = live
        self.copies = copies
        injections = pages.base.bindMemory(to: Injection.self, capacity: capacity)
        injectionMemory = pages
    }

    /// How many places are queued.
    var queuedCount: Int { live.count + copies.count }
    /// How many of them by what is live.
    var liveCount: Int { live.count }
    /// How many of them by copies.
    var copyCount: Int { copies.count }

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
        live.removeAll()
        copies.removeAll()
        refusedCount = 0
        waitingCount = 0
    }

    // MARK: The queues

    private mutating func enqueue(_ place: UInt32) {
        guard !injections[Int(place)].marks.contains(.queued) else { return }
        // What a round asked is over: it has taken the place out.
        injections[Int(place)].marks.remove(.askedToGo)
        injections[Int(place)].marks.insert(.queued)
        if isCopying { copies.append(place) } else { live.append(place) }
    }

    /// The next place that a round is to look at; nil when it has looked at all.
    func nextToLookAt(_ round: inout Round) -> UInt32? {
        guard round.looked < round.count else { return nil }
        defer { round.looked += 1 }
        return round.isOfCopies ? copies[round.looked] : live[round.looked]
    }

    /// What a round has looked at last is deleted to be made again: it is written before what the kernel has
    /// nothing of yet, which might take its room.
    func writeFirst(_ round: inout Round) {
        if round.isOfCopies {
            copies.swapAt(round.remade, round.looked - 1)
        } else {
            live.swapAt(round.remade, round.looked - 1)
        }
        round.remade += 1
    }

    /// Takes the next place of a round out of its queue; nil when all are.
    mutating func dequeue(_ round: inout Round) -> UInt32? {
        guard round.dequeued < round.count else { return nil }
        round.dequeued += 1
        let place = round.isOfCopies ? copies.removeFirst() : live.removeFirst()
        injections[Int(place)].marks.remove(.queued)
        return place
    }

    /// Nothing is to be written of a place that a round has taken out: if it is to be deleted, and was so only
    /// after the round had looked at it, as it was in another's way, it is for the next round.
    mutating func keepForNextRound(_ place: UInt32) {
        let injection = injections[Int(place)]
        guard injection.state.firstRequest != nil, !injection.marks.contains(.askedToGo) else {
            return
        }
        enqueue(place)
    }

    /// A walk through what is in a queue now: once to look for deletions, once to take it out. What is
    /// queued meanwhile is for the next round.
    struct Round {
        fileprivate let count: Int
        fileprivate let isOfCopies: Bool
        fileprivate var looked = 0
        /// How many of those it deletes to make them again.
        fileprivate var remade = 0
        fileprivate var dequeued = 0
        private var hasRoom: Bool?

        fileprivate init(count: Int, isOfCopies: Bool) {
            self.count = count
            self.isOfCopies = isOfCopies
        }

        /// Whether something may be deleted to be made again.
        ///
        /// - Parameter hasRoom: asked once a round.
        mutating func mayRecreate(_ hasRoom: () -> Bool) -> Bool {
            let answer = self.hasRoom ?? hasRoom()
            self.hasRoom = answer
            return answer
        }
    }

    /// Begins a round of what is live.
    func beginRound() -> Round { Round(count: live.count, isOfCopies: false) }

    /// Begins a round of at most so many copies.
    func beginRound(ofCopies limit: Int) -> Round {
        Round(count: min(limit, copies.count), isOfCopies: true)
    }

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
        for index in 0..<live.count { sum &-= Self.weight(live[index]) }
        for index in 0..<copies.count { sum &-= Self.weight(copies[index]) }
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
        // Likewise, and packets have made it again.
        case (.alive, .adopted): true
        case (.alive, _): state.isTask == isQueued
        }
    }
}
