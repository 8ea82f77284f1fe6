// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// The connections that began since a partial master was promoted: what another node holds of their
/// ends is older, whatever its word.
///
/// A Bloom filter of two bits a key: one in a hundred others is taken for such a connection when
/// 50,000 have begun. Written by the thread of the events while the master is partial, read by the
/// link's.
final class TermBirths: Sendable {
    private static let wordCount = 1 << 14

    private let isOpen = Atomic<Bool>(false)
    /// Whether events were lost since `begin()`, of which some may have told of beginnings.
    private let hasMissed = Atomic<Bool>(false)
    private let words = Mutex([UInt64](repeating: 0, count: wordCount))
    private let hash: TupleHash

    init() {
        var random = SystemRandomNumberGenerator()
        hash = TupleHash(seed: random.next())
    }

    /// Whether beginnings are taken note of.
    var isRecording: Bool { isOpen.load(ordering: .relaxed) }

    /// Forgets all, and takes note from now on.
    func begin() {
        words.withLock { words in
            for index in words.indices { words[index] = 0 }
        }
        hasMissed.store(false, ordering: .relaxed)
        isOpen.store(true, ordering: .relaxed)
    }

    /// Records nothing more; what is known stays.
    func end() {
        isOpen.store(false, ordering: .relaxed)
    }

    /// Events were lost: of what is not recorded nobody knows any more when it began.
    func missed() {
        hasMissed.store(true, ordering: .relaxed)
    }

    /// Records a connection that has begun.
    func insert(_ key: Key) {
        let (first, second) = bits(key)
        words.withLock { words in
            words[first >> 6] |= 1 << UInt64(first & 63)
            words[second >> 6] |= 1 << UInt64(second & 63)
        }
    }

    /// Whether it began since `begin()`, or, rarely, looks as if it had; nil if it may have begun
    /// since `end()`, or with an event that was lost.
    func began(_ key: Key) -> Bool? {
        if contains(key) { return true }
        return isRecording && !hasMissed.load(ordering: .relaxed) ? false : nil
    }

    /// Whether it began between `begin()` and `end()`, or, rarely, looks as if it had.
    func contains(_ key: Key) -> Bool {
        let (first, second) = bits(key)
        return words.withLock { words in
            words[first >> 6] & 1 << UInt64(first & 63) != 0
                && words[second >> 6] & 1 << UInt64(second & 63) != 0
        }
    }

    private func bits(_ key: Key) -> (Int, Int) {
        let wide = hash.wide(key)
        let mask = UInt64(Self.wordCount * 64 - 1)
        return (Int(wide & mask), Int(wide >> 32 & mask))
    }
}
