// SPDX-License-Identifier: GPL-2.0-or-later

/// The words of the replicas that a node had when it began to read its kernel's table again, until it has
/// read it: what no packet has touched meanwhile is as late as before, whatever the node was since.
///
/// At most 28 bytes a connection, for as long as the reading takes.
struct FormerWords {
    private var generations: [UInt64: UInt16] = [:]

    var isEmpty: Bool { generations.isEmpty }

    /// Takes the memory for so many more at once.
    mutating func reserve(_ count: Int) {
        generations.reserveCapacity(generations.count + count)
    }

    /// Keeps the generation of a replica's word.
    ///
    /// - Parameter fingerprint: of the key and the reply tuple.
    mutating func insert(_ fingerprint: UInt64, _ generation: UInt16) {
        generations[fingerprint] = generation
    }

    /// The generation of the word of a connection; nil for one that was no replica.
    func generation(_ fingerprint: UInt64) -> UInt16? { generations[fingerprint] }

    /// Forgets all.
    mutating func removeAll() { generations = [:] }
}
