// SPDX-License-Identifier: GPL-2.0-or-later

package import CTSync

/// What our reader and the library disagree about, a line each.
struct Differences {
    private(set) var lines: [String] = []

    mutating func compare<Value: Equatable>(_ name: String, _ ours: Value, _ library: Value?) {
        guard ours != library else { return }
        lines.append("\(name): \(ours), the library has \(library.map { "\($0)" } ?? "nothing")")
    }
}

extension Entry {
    /// What the library reads else in the message that this entry was read from.
    package func differences(in message: [UInt8]) -> [String] {
        var lines: [String] = []
        let isRead = LibraryEntry.read(message) { lines = differences($0, message) }
        return isRead ? lines : ["the library refuses it"]
    }

    private func differences(_ library: LibraryEntry, _ message: [UInt8]) -> [String] {
        var found = Differences()
        found.compare("original tuple", key.tuple, library.original)
        found.compare("reply tuple", reply, LibraryEntry.reply(in: message))
        found.compare("zone", key.zone, library.zone.0)
        found.compare("zone's direction", key.zoneDirection, library.zone.1)
        // The library does not tell a synproxy of zeros from none.
        found.compare("fields", fields.subtracting(.synproxy), library.fields)
        if fields.contains(.parent) { found.compare("master", extras.parent, library.master) }
        for (name, ours, theirs) in zip3(LibraryEntry.wordNames, words, library.words) {
            found.compare(name, ours, theirs)
        }
        found.compare("protocol info", protocolInfo, library.protocolInfo)
        found.compare("helper", "\(extras.helper)", library.helper)
        let labels = (UInt32(0)..<128).filter { bit in
            let half = bit < 64 ? extras.labelsLow : extras.labelsHigh
            return half >> UInt64(bit % 64) & 1 == 1
        }
        found.compare("labels", labels, library.labels)
        return found.lines
    }

    private var words: [UInt32] {
        [
            status.rawValue, timeoutSeconds, mark, id,
            extras.originalAdjustment.correctionPosition, extras.originalAdjustment.offsetBefore,
            extras.originalAdjustment.offsetAfter, extras.replyAdjustment.correctionPosition,
            extras.replyAdjustment.offsetBefore, extras.replyAdjustment.offsetAfter,
            extras.synproxyISN, extras.synproxyITS, extras.synproxyTSOffset,
        ]
    }

    private func zip3<First, Second, Third>(
        _ first: [First], _ second: [Second], _ third: [Third]
    ) -> [(First, Second, Third)] {
        precondition(first.count == second.count && second.count == third.count)
        return first.indices.map { (first[$0], second[$0], third[$0]) }
    }
}

extension Expectation {
    /// What the library reads else in the message that this expectation was read from.
    ///
    /// CTA_EXPECT_ID it does not keep.
    package func differences(in message: [UInt8]) -> [String] {
        var lines: [String] = []
        let isRead = LibraryExpectation.read(message) { lines = $0.differences(self) }
        return isRead ? lines : ["the library refuses it"]
    }
}

/// How often messages of each kind came and with which fields, and what was read differently.
package struct ReaderTally {
    package private(set) var kinds: [CtnetlinkKind: Int] = [:]
    package private(set) var fields: Entry.Fields = []
    package private(set) var protocols: Set<UInt8> = []
    package private(set) var tcpStates: [CtnetlinkKind: Set<UInt8>] = [:]
    package private(set) var expectedFlags: Set<UInt32> = []
    package private(set) var expectedClasses: Set<UInt32> = []
    package private(set) var differences: [String] = []

    package init() {}

    /// Reads a message with both and takes note.
    package mutating func add(_ message: [UInt8]) {
        var entry = Entry(Key(.none))
        do throws(NetlinkError) {
            let kind = try EntryCodec.read(message.span.bytes, into: &entry)
            kinds[kind, default: 0] += 1
            switch kind {
            case .new, .update, .destroy:
                note(kind, entry)
                report(entry.differences(in: message), message)
            case .expectNew, .expectDestroy:
                var expectation = Expectation(Key(.none))
                try ExpectationCodec.read(message.span.bytes, into: &expectation)
                expectedFlags.insert(expectation.flags)
                expectedClasses.insert(expectation.policyClass)
                report(expectation.differences(in: message), message)
            default: report(["not a message of an entry: \(kind)"], message)
            }
        } catch {
            report(["refused: \(error)"], message)
        }
    }

    private mutating func note(_ kind: CtnetlinkKind, _ entry: Entry) {
        fields.formUnion(entry.fields)
        protocols.insert(entry.key.tuple.protocolNumber)
        if entry.key.tuple.protocolNumber == ProtocolNumber.tcp {
            tcpStates[kind, default: []].insert(entry.protocolInfo.state)
        }
    }

    private mutating func report(_ lines: [String], _ message: [UInt8]) {
        guard !lines.isEmpty else { return }
        differences.append(lines.joined(separator: "; ") + " in " + Corpus.line(message))
    }
}
