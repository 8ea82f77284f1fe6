// SPDX-License-Identifier: GPL-2.0-or-later

/// The words of the replicas that a node had when it began to read its kernel's table again, until it has
/// read it: what no packet has touched meanwhile is as late as before, whatever the node was since. So is what
/// the kernel had in the place of a replica, or of one that has ended, as it could not be deleted: it is over.
///
/// At most 28 bytes a connection, for as long as the reading takes.
struct FormerWords {
    private var generations: [UInt64: UInt16] = [:]
    private var outlived: Set<UInt64> = []

    var isEmpty: Bool { generations.isEmpty && outlived.isEmpty }

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

    /// The kernel has a connection of this key that is over.
    ///
    /// - Parameter fingerprint: of the key.
    mutating func outlive(_ fingerprint: UInt64) { outlived.insert(fingerprint) }

    /// Whether the kernel had a connection of this key that was over.
    func hasOutlived(_ fingerprint: UInt64) -> Bool { outlived.contains(fingerprint) }

    /// Forgets all.
    mutating func removeAll() { (generations, outlived) = ([:], []) }
}
