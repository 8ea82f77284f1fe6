// SPDX-License-Identifier: GPL-2.0-or-later

/// Which of a session's counters have come: the newest, and a bit for each of those before it as far
/// as the window reaches (the ring of words of RFC 6479).
///
/// Whatever is older than the window counts as come. It must reach as far back as a master's backlog:
/// a packet that is sent again has its old counter. The memory is the owner's.
struct ReplayWindow {
    private let words: UnsafeMutablePointer<UInt64>
    /// A power of two, at least 2.
    private let wordCount: Int
    /// The highest that has come.
    private(set) var newest: UInt64
    /// Up to here everything counts as come.
    private var floor: UInt64

    /// The counters that the window holds: one word is being cleared.
    static func reach(wordCount: Int) -> UInt64 { UInt64(wordCount - 1) * 64 }

    /// A window in which everything up to a counter has come.
    init(_ words: UnsafeMutablePointer<UInt64>, wordCount: Int, after counter: UInt64) {
        precondition(wordCount >= 2 && wordCount & (wordCount - 1) == 0)
        self.words = words
        self.wordCount = wordCount
        newest = counter
        floor = counter
        words.update(repeating: 0, count: wordCount)
    }

    /// Whether a counter has not come yet, as far as anybody can know.
    func isNew(_ counter: UInt64) -> Bool {
        if counter > newest { return true }
        guard counter > floor, newest - counter < Self.reach(wordCount: wordCount) else {
            return false
        }
        return words[place(counter)] & bit(counter) == 0
    }

    /// Records that a counter has come; its packet's tag has been checked before.
    ///
    /// - Returns: false if it had come already.
    mutating func take(_ counter: UInt64) -> Bool {
        guard isNew(counter) else { return false }
        if counter > newest {
            let steps = min(counter >> 6 - newest >> 6, UInt64(wordCount))
            for step in 0..<steps { words[place((counter >> 6 - step) << 6)] = 0 }
            newest = counter
        }
        words[place(counter)] |= bit(counter)
        return true
    }

    private func place(_ counter: UInt64) -> Int {
        Int(truncatingIfNeeded: counter >> 6) & (wordCount - 1)
    }

    private func bit(_ counter: UInt64) -> UInt64 { 1 << (counter & 63) }
}
