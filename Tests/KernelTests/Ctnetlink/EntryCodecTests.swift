// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import LibraryReader
import Testing

@testable import CTSync
@testable import CTSyncTests

@Suite(.serialized)
struct EntryCodecTests {
    private func read(_ message: [UInt8]) throws(NetlinkError) -> (CtnetlinkKind, Entry) {
        var entry = Entry(Key(.none))
        let kind = try EntryCodec.read(message.span.bytes, into: &entry)
        return (kind, entry)
    }

    @Test func agreesWithTheLibraryOnEveryEvent() throws {
        try NetworkNamespace.run(isTracking: true) {
            let events = try RawEvents.sample()
            #expect(events.count > 250)
            var seen: Entry.Fields = []
            var kinds: [CtnetlinkKind: Int] = [:]
            for event in events {
                let (kind, entry) = try read(event)
                kinds[kind, default: 0] += 1
                seen.formUnion(entry.fields)
                #expect(entry.differences(in: event) == [])
            }
            let all: Entry.Fields = [
                .status, .timeout, .mark, .protocolInfo, .parent, .helper, .labels,
                .sequenceAdjustment, .synproxy, .id,
            ]
            #expect(seen == all, "every field has been compared")
            for kind in [CtnetlinkKind.new, .update, .destroy] {
                #expect(kinds[kind, default: 0] > 50)
            }
        }
    }

    @Test func everyShortLengthIsRefused() throws {
        try NetworkNamespace.run(isTracking: true) {
            let page = try GuardedPage()
            var (read, refused) = (0, 0)
            for event in try RawEvents.sample() {
                for length in 0..<event.count {
                    // As received: the message says more than there is.
                    #expect(throws: NetlinkError.shortMessage) {
                        try page.read(Array(event[0..<length]))
                    }
                }
                for length in NLMSG_HDRLEN..<event.count {
                    // The message itself ends early: refused, or whole attributes are missing.
                    var message = Array(event[0..<length])
                    message[0] = UInt8(truncatingIfNeeded: length)
                    message[1] = UInt8(truncatingIfNeeded: length >> 8)
                    let whole = try self.read(event).1
                    do throws(NetlinkError) {
                        let entry = try page.read(message).1
                        #expect(entry.key.tuple == whole.key.tuple && entry.reply == whole.reply)
                        read += 1
                    } catch {
                        refused += 1
                    }
                }
            }
            #expect(read > 0 && refused > 10 * read)
        }
    }

    @Test func randomAndDamagedBytesDoNotCrash() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(state: seed)
        try NetworkNamespace.run(isTracking: true) {
            let page = try GuardedPage()
            let events = try RawEvents.sample()
            var refused = 0
            for round in 0..<200_000 {
                var message = events[Int(random.next() % UInt64(events.count))]
                if round % 4 == 0 {
                    for index in 20..<message.count {
                        message[index] = UInt8(truncatingIfNeeded: random.next())
                    }
                }
                for _ in 0..<(1 + random.next() % 4) {
                    let index = Int(random.next() % UInt64(message.count))
                    message[index] = UInt8(truncatingIfNeeded: random.next())
                }
                do {
                    _ = try page.read(message)
                } catch {
                    refused += 1
                }
            }
            #expect(refused > 10_000, "seed \(seed)")
        }
    }
}

/// splitmix64, so that a failing run can be repeated from its seed.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
