// SPDX-License-Identifier: GPL-2.0-or-later

/// How late a word is, by who gave it: where two nodes know different things of a connection, the
/// later word is right.
///
/// A node's last word is one for all that it heard of the last stream, or since packets of that were
/// lost, and another for what is older, down to what its kernel had when it became slave: hearing the
/// last packet of a stream makes nothing of that newer. A master that takes over what other nodes hold
/// keeps both words of each of them, so it does not matter in which order it takes from them.
struct LaterWords {
    private struct Handed {
        var generation: UInt16
        var heard: Basis
        var adopted: Basis
    }

    /// More nodes than a cluster has; of earlier ones the words are taken for this node's own.
    private static let limit = 64

    /// This node's own of what it heard.
    var own = Basis.none
    /// This node's of what its kernel had when it became slave, and of all that is older than
    /// `heardSince`; nil if it never was slave.
    private(set) var adopted: Basis?
    /// The generation since which what was heard has the later word, and the one of the stream.
    private var heardSince: UInt16 = 0
    private var streamSince: UInt16 = 0
    /// Outside this value, which is moved with each replica.
    private var handed = [Handed](
        repeating: Handed(generation: 0, heard: .none, adopted: .none), count: limit)
    private var count = 0

    /// The word of an entry in the kernel that is not among the replicas.
    var unread: Basis { adopted ?? own }

    /// Begins anew: this is the word of what the kernel has.
    mutating func begin(adopted: Basis, _ generation: UInt16) {
        (own, self.adopted, count) = (adopted, adopted, 0)
        (heardSince, streamSince) = (generation, generation)
    }

    /// A stream begins in this generation; before the one that ends, this was the last word.
    mutating func follow(after last: Basis, _ generation: UInt16) {
        adopted = max(unread, last)
        (heardSince, streamSince) = (streamSince, generation)
    }

    /// Packets were lost before this generation.
    ///
    /// - Parameter last: until when nothing was missing; nil if something was.
    mutating func lose(after last: Basis?, _ generation: UInt16) {
        if let last { adopted = max(unread, last) }
        heardSince = generation
    }

    /// Whether a word is of what was heard last.
    func isHeard(_ word: Ledger.Word) -> Bool {
        word.voice != .kernel && Int16(bitPattern: word.generation &- heardSince) >= 0
    }

    /// From here on copies of this generation are another node's.
    mutating func take(_ generation: UInt16, heard: Basis, adopted: Basis) {
        handed[count % Self.limit] = Handed(
            generation: generation, heard: heard, adopted: adopted)
        count += 1
    }

    /// How late a word is.
    func basis(of word: Ledger.Word) -> Basis {
        for index in 0..<min(count, Self.limit) where handed[index].generation == word.generation {
            return word.voice == .kernel ? handed[index].adopted : handed[index].heard
        }
        return isHeard(word) ? own : unread
    }
}
