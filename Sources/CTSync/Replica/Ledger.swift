// SPDX-License-Identifier: GPL-2.0-or-later

/// What an initsync has confirmed, for connections as for expectations.
///
/// 1. `begin` opens a generation. Each thing that is spoken of keeps a `Word`: in which generation,
///    and by whom.
/// 2. While it runs, what the live stream says beats the copies that the walk of the master's table
///    read: a copy does not speak of what the stream has spoken of (`mayCopySpeak`), nor of what the
///    stream has ended (`isBuried`). A walk whose begin was not received began when packets were lost
///    last, or before the stream was heard.
/// 3. `end` says whether what was not confirmed is to be purged.
///
/// The tombstones of what has ended have memory of their own, so they take no place from the living.
/// If there are too many, `bury` answers false: a copy may then bring back what has ended, and only
/// another initsync proves the books right. What the purge removes is proved all the same, as nobody
/// has spoken of it.
struct Ledger: ~Copyable {
    /// Who spoke of something last.
    enum Voice: UInt8, BitwiseCopyable {
        /// An event of the master.
        case live
        /// A walk of the master's table.
        case copy
        /// This node's kernel had it when the node became slave; the master has not confirmed it.
        case kernel
    }

    /// When something was spoken of last, and by whom.
    struct Word: BitwiseCopyable {
        var generation: UInt16
        var voice: Voice
    }

    /// What the end of an initsync proves.
    enum Verdict {
        /// Packets are missing: what was spoken of is confirmed, nothing is purged.
        case confirms
        /// Whatever was not spoken of since the begin is gone.
        case purges
    }

    /// Whether an initsync is running.
    private(set) var isRunning = false
    private(set) var generation: UInt16 = 2
    /// The first generation since the last begin: a loss opens another.
    private(set) var begun: UInt16 = 1
    /// The first since the walk whose copies come may have begun.
    private var walked: UInt16 = 2
    private var tombstones: Tombstones

    /// Reserves the memory of the tombstones.
    ///
    /// - Throws: `SystemError` of mmap(2).
    init(tombstones limit: Int) throws(SystemError) {
        tombstones = try Tombstones(limit: limit)
    }

    /// Begins an initsync; one that was running is forgotten.
    mutating func begin() {
        open()
        isRunning = true
        tombstones.removeAll()
    }

    /// Begins the stream of another master: none of what was said before is its word. In a generation of
    /// their own are the copies of a walk that it began before it was heard.
    mutating func follow() {
        open()
        stop()
        lose()
    }

    private mutating func open() {
        divide()
        begun = generation
        walked = generation
    }

    /// Packets are lost: what was said until now is of before, and the begin of a walk may be among them.
    mutating func lose() {
        divide()
        if !isRunning { walked = generation }
    }

    /// What is said from here on is told apart from what was said until now.
    mutating func divide() { generation &+= 1 }

    /// Ends an initsync.
    ///
    /// - Parameter isComplete: whether every packet of it arrived.
    mutating func end(isComplete: Bool) -> Verdict {
        stop()
        return isComplete ? .purges : .confirms
    }

    /// Forgets the initsync that is running, if one is.
    mutating func stop() {
        isRunning = false
        tombstones.removeAll()
    }

    /// The word of a voice that speaks now. The kernel's confirms nothing. A copy is as late as the begin of
    /// its walk, and of all that is heard since if nothing is lost.
    func word(_ voice: Voice) -> Word {
        switch voice {
        case .live: Word(generation: generation, voice: voice)
        case .copy: Word(generation: isRunning ? walked : walked &- 1, voice: voice)
        case .kernel: Word(generation: begun &- 1, voice: voice)
        }
    }

    /// Whether a master has spoken of it since the last begin.
    func isConfirmed(_ word: Word) -> Bool {
        word.voice != .kernel && Int16(bitPattern: word.generation &- begun) >= 0
    }

    /// Whether the live stream of the master that is followed said it, and since the last begin.
    func isOwnWord(_ word: Word) -> Bool { word.voice == .live && isConfirmed(word) }

    /// Whether the live stream of the master that is followed has said this no earlier than something else
    /// was said.
    func isNews(_ word: Word, after other: Word) -> Bool {
        isOwnWord(word) && Int16(bitPattern: word.generation &- other.generation) >= 0
    }

    /// Whether a copy says anything new of something alive.
    func mayCopySpeak(after word: Word) -> Bool {
        word.voice != .live || Int16(bitPattern: word.generation &- walked) < 0
    }

    /// The live stream has ended something while an initsync runs.
    ///
    /// - Returns: false if there is no room to remember it.
    mutating func bury(_ fingerprint: UInt64) -> Bool {
        tombstones.insert(fingerprint)
    }

    /// Whether the live stream has ended it since the begin of the running initsync.
    func isBuried(_ fingerprint: @autoclosure () -> UInt64) -> Bool {
        tombstones.count > 0 && tombstones.contains(fingerprint())
    }

    /// Calls `fault` with what is not as it must be.
    func assertValid(_ fault: (String) -> Void) {
        if tombstones.count > tombstones.limit { fault("more tombstones than there may be") }
        if !isRunning, tombstones.count > 0 { fault("tombstones without an initsync") }
    }
}

/// What became of something that was said.
enum Heard {
    /// Nothing: a copy spoke of what the live stream knows better.
    case nothing
    /// There is no place for it.
    case full
    /// It is in this place, and so much of it is new.
    case said(UInt32, Change)

    /// What of a description is new.
    enum Change {
        /// All of it: the place was free.
        case first
        /// Nothing that the kernel knows of.
        case none
        /// Something that a kernel's entry can be changed into.
        case update
        /// Something that only another entry can have.
        case another
        /// The same, and the parent is another.
        case anotherParent
    }
}
