// SPDX-License-Identifier: GPL-2.0-or-later

/// For each reason to drop a packet, the last one that was: what a person needs to find its sender.
///
/// Fixed places, so that noting one allocates nothing.
struct DropRecord: Sendable {
    /// Where a dropped packet came from, and when.
    struct Last: Sendable, BitwiseCopyable {
        var peer: PeerAddress
        var at: Instant
        /// The first byte of the packet, its version; 0 for an empty one.
        var version: UInt8
    }

    /// The places after those of `WireError`.
    static let anotherLink = 23
    static let sameID = 24
    static let unsealed = 25
    static let anotherKey = 26
    static let tag = 27
    static let replayed = 28
    static let unproven = 29
    static let ownID = 30
    static let stale = 31
    private static let placeCount = 32

    private var places = InlineArray<32, Last?>(repeating: nil)

    /// Nothing dropped.
    init() {}

    /// The last of a reason: the index of a `WireError`, or one of the places above.
    subscript(place: Int) -> Last? { places[place] }

    /// Records a packet.
    mutating func note(_ place: Int, _ packet: RawSpan, from peer: PeerAddress, now: Instant) {
        precondition(place < Self.placeCount)
        let version = packet.byteCount > 0 ? packet.byte(0) : 0
        let shown = peer.shown(after: places[place].map { ($0.peer, $0.at) }, now: now)
        places[place] = Last(peer: shown, at: now, version: version)
    }

    /// The later one of each reason, of this record and another.
    func merged(with other: DropRecord) -> DropRecord {
        var merged = self
        for place in 0..<Self.placeCount {
            guard let last = other.places[place] else { continue }
            if merged.places[place].map({ $0.at < last.at }) ?? true {
                merged.places[place] = last
            }
        }
        return merged
    }
}
