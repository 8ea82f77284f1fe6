// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// Finds SCTP associations whose verification tags changed without an event: one that is opened again
/// on the same ports (measured, Linux 6.18). A new master that has the old tags would drop its data.
///
/// 1. `said`: an event or a walk of the table tells the slaves of an SCTP entry; what it says of the
///    tags is remembered. Every path of a multi-homed association is an entry with tags of its own.
/// 2. `look`: once a second each of these entries is read again, a piece at a time, and compared. The
///    table is not walked for it: a dump that the kernel filters keeps the processor until it has found
///    something, 90 ms with 300,000 entries of other protocols.
///
/// The listener's and the walk's thread tell it, the listener looks. It takes memory only while there is
/// SCTP.
final class TagWatch: Sendable {
    static let interval = 1 * Duration.second
    /// The most entries that one look reads, some 3 us each.
    static let pieceCount = 256

    private struct Book {
        var tags: [Key: UInt64] = [:]
        /// What is left to be read of this second's round.
        var round: [Key] = []
    }

    private let book = Mutex(Book())
    private let next = Atomic<Instant>(.max)

    /// When to look next.
    var due: Instant { next.load(ordering: .relaxed) }

    /// Forgets what was said in an earlier term.
    func reset() {
        book.withLock { book in
            book = Book()
            next.store(.max, ordering: .relaxed)
        }
    }

    /// Records what the slaves are told of an entry.
    @inline(__always)
    func said(_ entry: borrowing Entry, now: Instant) {
        guard entry.key.tuple.protocolNumber == ProtocolNumber.sctp else { return }
        record(copy entry, now)
    }

    private func record(_ entry: Entry, _ now: Instant) {
        guard entry.fields.contains(.protocolInfo) else { return }
        book.withLock { book in
            book.tags[entry.key] = Self.tags(entry)
            if due == .max { next.store(now + Self.interval, ordering: .relaxed) }
        }
    }

    /// Hands out entries whose tags are not those that were said, if it is time.
    ///
    /// - Throws: `SystemError` of the lookup; the round is begun again a second later.
    func look(
        _ lookup: any EntryLookup, now: Instant, _ body: (Entry) -> Void
    ) throws(SystemError) {
        guard now >= due else { return }
        next.store(now + Self.interval, ordering: .relaxed)
        let piece = nextPiece()
        do throws(SystemError) {
            for key in piece {
                if let changed = try read(key, lookup) { body(changed) }
            }
        } catch {
            book.withLock { $0.round = [] }
            throw error
        }
        book.withLock { book in
            if !book.round.isEmpty {
                next.store(now, ordering: .relaxed)
            } else if book.tags.isEmpty {
                next.store(.max, ordering: .relaxed)
            }
        }
    }

    private func nextPiece() -> [Key] {
        book.withLock { book in
            if book.round.isEmpty { book.round = Array(book.tags.keys) }
            let piece = Array(book.round.suffix(Self.pieceCount))
            book.round.removeLast(piece.count)
            return piece
        }
    }

    /// The entry as the kernel has it, if that is not what was said.
    private func read(_ key: Key, _ lookup: any EntryLookup) throws(SystemError) -> Entry? {
        guard let entry = try lookup.entry(key) else {
            book.withLock { $0.tags[key] = nil }
            return nil
        }
        guard entry.fields.contains(.protocolInfo) else { return nil }
        let found = Self.tags(entry)
        return book.withLock { book in
            guard let known = book.tags.updateValue(found, forKey: key), known != found else {
                return nil
            }
            return entry
        }
    }

    private static func tags(_ entry: Entry) -> UInt64 {
        UInt64(entry.protocolInfo.originalTag) << 32 | UInt64(entry.protocolInfo.replyTag)
    }
}
