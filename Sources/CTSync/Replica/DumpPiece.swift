// SPDX-License-Identifier: GPL-2.0-or-later

/// A replica as `ct_sync dump` shows it.
struct DumpedReplica: BitwiseCopyable {
    /// Who described the connection last.
    enum Origin: String {
        /// An event of the master.
        case live
        /// A walk of the master's table.
        case initsync
        /// This node's kernel had it when the node became slave; the master has not confirmed it.
        case kernel
    }

    var entry: Entry
    /// Seconds since its timeout was said.
    var ageSeconds: UInt32
    var origin: Origin
}

/// Room for a piece of a dump, taken by who asks for it and filled by who owns the table.
final class DumpPiece {
    /// Replicas a piece, at most.
    static let capacity = 256
    /// Places looked at for a piece, at most.
    static let placeLimit = 8_192

    private(set) var replicas: [DumpedReplica] = []
    /// The first place that was not looked at; nil at the table's end.
    private(set) var next: UInt32? = 0

    init() {
        replicas.reserveCapacity(Self.capacity)
    }

    /// Copies the living replicas from `next` on that meet the criteria of a rule.
    func fill(from book: borrowing ReplicaBook, _ criteria: ReplicationRule, now: UInt32) {
        replicas.removeAll(keepingCapacity: true)
        guard let first = next else { return }
        let end = UInt32(min(book.pool.highWater, Int(first) + Self.placeLimit))
        var place = first
        while place < end, replicas.count < Self.capacity {
            if let replica = book.dumped(at: place, now: now),
                criteria.holds(for: replica.entry)
            {
                replicas.append(replica)
            }
            place += 1
        }
        next = Int(place) < book.pool.highWater ? place : nil
    }
}

extension ReplicationRule {
    /// Whether all criteria hold, as far as they can be told.
    func holds(for entry: Entry) -> Bool {
        holdsAlways(for: entry.key) && holdsNow(for: entry) == true
    }
}

extension ReplicaBook {
    fileprivate func dumped(at place: UInt32, now: UInt32) -> DumpedReplica? {
        let replica = pool.replicas[Int(place)]
        guard replica.standing == .alive else { return nil }
        let origin: DumpedReplica.Origin =
            switch replica.word.voice {
            case .live: .live
            case .copy: .initsync
            case .kernel: .kernel
            }
        return DumpedReplica(
            entry: entry(at: place), ageSeconds: now &- replica.saidAtSeconds, origin: origin)
    }
}
