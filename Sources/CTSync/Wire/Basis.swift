// SPDX-License-Identifier: GPL-2.0-or-later

/// How much of the cluster's table a node is known to hold: everything that the master of an epoch
/// said up to a sequence number.
///
/// A slave's is that of the last stream which it held without a gap, a master's what it had when it
/// was promoted and what it was handed since. Of two nodes the one with the higher basis holds more.
struct Basis: Comparable, Sendable, BitwiseCopyable {
    /// The epoch of the master that said it.
    var epoch: UInt64
    /// The last packet of which nothing is missing.
    var sequence: UInt64

    /// Bytes on the wire: epoch 8, sequence 8.
    static let byteCount = 16

    /// Of a node that is not known to hold anything.
    static let none = Basis(epoch: 0, sequence: 0)

    /// After all that the master of an epoch can have said, for a node that did not live to see its end, and
    /// before what that node's kernel did since (`later`).
    static func end(of epoch: UInt64) -> Basis { Basis(epoch: epoch, sequence: 1 << 63) }

    static func < (left: Basis, right: Basis) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }

    /// So many packets later.
    func later(by count: UInt64) -> Basis {
        let (next, isOver) = sequence.addingReportingOverflow(count)
        return Basis(epoch: epoch, sequence: isOver ? .max : next)
    }

    /// Writes its bytes.
    func write(_ packet: inout MutableRawSpan, at place: Int) {
        packet.setBig(place, epoch)
        packet.setBig(place + 8, sequence)
    }

    /// Reads one; the caller has checked that it is there.
    static func read(_ packet: RawSpan, at place: Int) -> Basis {
        Basis(epoch: packet.big(place), sequence: packet.big(place + 8))
    }
}

/// What a node holds of the cluster's table.
struct Holding: Equatable, Sendable, BitwiseCopyable {
    /// Everything that was said up to here ...
    var basis = Basis.none
    /// ... the last word that it has of anything: where two nodes hold another entry of a connection,
    /// the one with the later word is right ...
    var latest = Basis.none
    /// ... and what it saw itself, as a master that was not whole: nobody else may have that.
    var hasMore = false
    /// The stream of its basis was cut short by a higher claim, a moment ago: a master of such a claim that
    /// has not heard that stream to there may lack what it said.
    var isBranch = false
    /// Its kernel had connections when its daemon began, and no master has confirmed them since: a
    /// master that lost track of its predecessor asks for them.
    var hasUnproved = false

    /// Whether others may lack some of it, whatever their basis.
    var mayBeAlone: Bool { hasMore || isBranch }
}
