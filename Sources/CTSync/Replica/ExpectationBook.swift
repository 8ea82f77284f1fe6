// SPDX-License-Identifier: GPL-2.0-or-later

/// The slave's book of the master's expectations, with the rules of the connections' (`Ledger`).
///
/// As many as the kernel's default nf_conntrack_expect_max, in memory taken once. They are few and
/// short-lived: a key is found by looking through all hashes, 4 ns for a hundred, a microsecond or
/// two when the book is full.
struct ExpectationBook: ~Copyable {
    /// The most that are held.
    static let capacity = 4_096
    /// The most that end during an initsync and are remembered to its end.
    static let tombstoneLimit = 2 * capacity

    /// How many the master has.
    private(set) var aliveCount = 0
    /// Updates for which there was no place.
    private(set) var fullCount: UInt64 = 0
    /// Places from here on are free.
    private(set) var highWater = 0
    private(set) var ledger: Ledger
    let said: UnsafeMutablePointer<ReplicatedExpectation>

    private let hashes: UnsafeMutablePointer<UInt32>
    private let saidMemory: MappedMemory
    private let hashMemory: MappedMemory
    private let hash: TupleHash

    /// Reserves the memory of a book.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(seed: UInt64) throws(SystemError) {
        let saidPages = try MappedMemory(
            byteCount: Self.capacity * MemoryLayout<ReplicatedExpectation>.stride)
        let hashPages = try MappedMemory(byteCount: Self.capacity * MemoryLayout<UInt32>.stride)
        ledger = try Ledger(tombstones: Self.tombstoneLimit)
        hash = TupleHash(seed: seed)
        said = saidPages.base.bindMemory(to: ReplicatedExpectation.self, capacity: Self.capacity)
        hashes = hashPages.base.bindMemory(to: UInt32.self, capacity: Self.capacity)
        saidMemory = saidPages
        hashMemory = hashPages
    }

    // MARK: What the master says

    /// Takes what the master said of an expectation.
    ///
    /// - Parameter isCopy: an initsync read it from the table.
    mutating func hear(_ expectation: Expectation, isCopy: Bool, now: UInt32) -> Heard {
        let word = ledger.word(isCopy ? .copy : .live)
        let known = find(expectation)
        guard let known, said[known].standing == .alive else {
            if isCopy, hasEnded(expectation) { return .nothing }
            if let known {
                aliveCount += 1
                said[known] = ReplicatedExpectation(
                    expectation: expectation, standing: .alive, word: word, saidAtSeconds: now)
                return .said(UInt32(known), .another)
            }
            guard let place = insert(expectation, word, now: now) else {
                fullCount += 1
                return .full
            }
            return .said(place, .first)
        }
        if isCopy, !ledger.mayCopySpeak(after: said[known].word) { return .nothing }
        let isSame = said[known].expectation.isSame(as: expectation)
        said[known].expectation = expectation
        said[known].word = word
        said[known].saidAtSeconds = now
        return .said(UInt32(known), isSame ? .none : .another)
    }

    /// The live stream says that an expectation has ended.
    ///
    /// - Returns: the place of the living one, which is the owner's to kill, and whether an initsync
    ///   that is running will remember it.
    mutating func hearEnd(of expectation: Expectation) -> (alive: UInt32?, isRemembered: Bool) {
        let isRemembered = !ledger.isRunning || ledger.bury(fingerprint(expectation))
        guard let place = find(expectation), said[place].standing == .alive else {
            return (nil, isRemembered)
        }
        return (UInt32(place), isRemembered)
    }

    /// Whether the live stream has ended one since the begin of the running initsync; it may have
    /// begun again.
    func hasEnded(_ expectation: Expectation) -> Bool {
        ledger.isBuried(fingerprint(expectation))
    }

    /// Enters one that this node's kernel has and nobody has spoken of.
    ///
    /// - Returns: its place; nil if there is none.
    mutating func adopt(_ expectation: Expectation, now: UInt32) -> UInt32? {
        insert(expectation, ledger.word(.kernel), now: now)
    }

    // MARK: The living and the dead

    /// Marks a living one dead.
    mutating func kill(_ place: UInt32) {
        said[Int(place)].standing = .dead
        aliveCount -= 1
    }

    /// Frees a dead one's place.
    mutating func free(_ place: UInt32) {
        said[Int(place)].standing = .free
        while highWater > 0, said[highWater - 1].standing == .free { highWater -= 1 }
    }

    /// Forgets everything.
    mutating func removeAll() {
        for place in 0..<highWater { said[place].standing = .free }
        highWater = 0
        aliveCount = 0
        ledger.stop()
    }

    private mutating func insert(
        _ expectation: Expectation, _ word: Ledger.Word, now: UInt32
    ) -> UInt32? {
        var place = 0
        while place < highWater, said[place].standing != .free { place += 1 }
        guard place < Self.capacity else { return nil }
        highWater = max(highWater, place + 1)
        hashes[place] = hash(expectation.key)
        said[place] = ReplicatedExpectation(
            expectation: expectation, standing: .alive, word: word, saidAtSeconds: now)
        aliveCount += 1
        return UInt32(place)
    }

    // MARK: Initsync

    /// Begins the stream of another master.
    mutating func follow() { ledger.follow() }

    /// Packets of the stream are lost: the begin of the walk whose copies come may be among them.
    mutating func losePackets() { ledger.lose() }

    /// From here on copies confirm.
    mutating func beginInitsync() { ledger.begin() }

    /// Ends an initsync: what the verdict means for each is the owner's to carry out.
    mutating func endInitsync(isComplete: Bool) -> Ledger.Verdict {
        ledger.end(isComplete: isComplete)
    }

    // MARK: Reading

    /// Whether the live stream of the master that is followed has spoken of it.
    func isMastersWord(_ expectation: Expectation) -> Bool {
        guard let place = find(expectation), said[place].standing == .alive else { return false }
        return ledger.isOwnWord(said[place].word)
    }

    /// Where one of its key and mask is, living or dead; nil if nobody has spoken of one.
    func place(of expectation: Expectation) -> UInt32? { find(expectation).map { UInt32($0) } }

    private func find(_ expectation: Expectation) -> Int? {
        let code = hash(expectation.key)
        for place in 0..<highWater where hashes[place] == code {
            if said[place].standing != .free, said[place].expectation.key == expectation.key,
                said[place].expectation.mask == expectation.mask
            {
                return place
            }
        }
        return nil
    }

    private func fingerprint(_ expectation: Expectation) -> UInt64 {
        hash.wide(expectation.key, mask: expectation.mask)
    }

    /// Calls `body` with each that the master has, in no order.
    func forEachAlive(_ body: (borrowing Expectation) -> Void) {
        for place in 0..<highWater where said[place].standing == .alive {
            body(said[place].expectation)
        }
    }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        ledger.assertValid(fault)
        var alive = 0
        for place in 0..<highWater where said[place].standing != .free {
            if said[place].standing == .alive { alive += 1 }
            if find(said[place].expectation) != place { fault("expectation \(place) is not found") }
        }
        if alive != aliveCount { fault("\(alive) expectations alive, \(aliveCount) counted") }
        if highWater > 0, said[highWater - 1].standing == .free { fault("highWater is too high") }
    }
}
