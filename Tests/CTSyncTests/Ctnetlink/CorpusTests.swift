// SPDX-License-Identifier: GPL-2.0-or-later

import LibraryReader
import Testing

@testable import CTSync

/// The readers and libnetfilter_conntrack's on messages of real kernels, recorded by `make corpus`,
/// and on what can be made of them by hand.
@Suite struct CorpusTests {
    private static let names = ["made", "traffic"]

    private static func messages() throws -> [[UInt8]] {
        var components = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        components.removeLast()
        let folder = components.joined(separator: "/") + "/Corpus/"
        return try names.flatMap { try Corpus(file: "\(folder)\($0).hex").messages }
    }

    private static func entry(_ message: [UInt8]) throws(NetlinkError) -> Entry? {
        var entry = Entry(Key(.none))
        let kind = try EntryCodec.read(message.span.bytes, into: &entry)
        return kind == .new || kind == .update || kind == .destroy ? entry : nil
    }

    @Test func agreesWithTheLibraryOnEveryMessage() throws {
        var tally = ReaderTally()
        for message in try Self.messages() { tally.add(message) }
        #expect(tally.differences.prefix(5) == [])
        #expect(tally.kinds[.new, default: 0] > 80)
        #expect(tally.kinds[.update, default: 0] > 300)
        #expect(tally.kinds[.destroy, default: 0] > 80)
        #expect(tally.kinds[.expectNew, default: 0] >= 20)
        #expect(tally.kinds[.expectDestroy, default: 0] >= 10)
        #expect(tally.expectedFlags.isSuperset(of: [0, 1, 3]))
        #expect(tally.expectedClasses.isSuperset(of: 0...3))
        let all: Entry.Fields = [
            .status, .timeout, .mark, .protocolInfo, .parent, .helper, .labels,
            .sequenceAdjustment, .synproxy, .id,
        ]
        #expect(tally.fields == all, "every field has been compared")
        #expect(tally.protocols.isSuperset(of: [1, 6, 17, 47, 58, 89, 132]))
    }

    /// A message that ends anywhere, saying so in its own length and in those of the attributes
    /// around the place, or not: refused, or read as the library reads it. Where a value is cut that
    /// we have no use for we read what stands before it; there the library ends the process.
    @Test func everyCutIsRefusedOrReadTheSame() throws {
        let page = try GuardedPage()
        var (read, refused) = (0, 0)
        for message in try Self.messages() {
            for length in 0..<message.count {
                let (nested, leaf) = message.cutWithNests(to: length)
                let lines = [
                    try differences(Array(message[..<length]), page),
                    try differences(message.cut(to: length), page),
                    leaf == nil
                        ? try differences(nested, page)
                        : try differences(nested, page, before: leaf ?? 0, of: message),
                ]
                for line in lines {
                    read += line == nil ? 0 : 1
                    refused += line == nil ? 1 : 0
                    if let line, line != [] { Issue.record("\(line): \(length) of \(message)") }
                }
            }
        }
        #expect(read > 10_000 && refused > 10 * read, "\(read) read, \(refused) refused")
    }

    /// Nil where ours refuses the message.
    private func differences(
        _ message: [UInt8], _ page: borrowing GuardedPage
    ) throws -> [String]? {
        do throws(NetlinkError) {
            switch try page.read(message) {
            case (.new, let entry), (.update, let entry), (.destroy, let entry):
                return entry.differences(in: message)
            case (.expectNew, _), (.expectDestroy, _):
                return try page.readExpectation(message).differences(in: message)
            default: return nil
            }
        } catch {
            return nil
        }
    }

    /// The same of a message whose last value is cut: what ours has else than without that value.
    /// Only a name may be a part of one.
    private func differences(
        _ message: [UInt8], _ page: borrowing GuardedPage, before leaf: Int, of whole: [UInt8]
    ) throws -> [String]? {
        let without = whole.cutWithNests(to: leaf).bytes
        do throws(NetlinkError) {
            switch try page.read(message) {
            case (.new, var entry), (.update, var entry), (.destroy, var entry):
                let other = try page.read(without).1
                entry.extras.helper = other.extras.helper
                if !other.fields.contains(.helper) { entry.fields.remove(.helper) }
                return entry == other ? [] : ["\(entry) is not \(other)"]
            case (.expectNew, _), (.expectDestroy, _):
                var expectation = try page.readExpectation(message)
                let other = try page.readExpectation(without)
                expectation.helper = other.helper
                expectation.function = other.function
                return expectation == other ? [] : ["\(expectation) is not \(other)"]
            default: return nil
            }
        } catch {
            return nil
        }
    }

    /// Of what the kernel cannot be told nothing is taken, wherever it stands: no test machine has
    /// labels of a security module, so they are written by hand.
    ///
    /// Source: `ctnetlink_dump_secctx`; a create or change with CTA_SECCTX leaves it out unseen.
    @Test func aSecurityContextIsSteppedOver() throws {
        let text = "system_u:object_r:ssh_client_packet_t:s0"
        // CTA_SECCTX is 19, a nest with CTA_SECCTX_NAME, 1; CTA_SECMARK was 17.
        let context = [UInt8(text.utf8.count + 5), 0, 1, 0] + Array(text.utf8) + [0]
        for message in try Self.messages() {
            guard let plain = try Self.entry(message) else { continue }
            for isFirst in [true, false] {
                let labelled = message.adding(0x8000 | 19, context, atStart: isFirst)
                    .adding(17, [0, 0, 0, 7], atStart: isFirst)
                #expect(try Self.entry(labelled) == plain)
                #expect(plain.differences(in: labelled) == [])
                var seen = ""
                _ = LibraryEntry.read(labelled) { seen = $0.securityContext }
                #expect(seen == text, "the library reads it: it stands where the kernel puts it")
            }
        }
    }

    /// As a flowtable leaves an entry: offloaded, without timeout and protocol state.
    @Test func anOffloadedEntryIsReadAndCompleted() throws {
        var count = 0
        for message in try Self.messages() {
            guard let plain = try Self.entry(message), plain.fields.contains(.timeout) else {
                continue
            }
            for bit in [Status.IPS_OFFLOAD, .IPS_HW_OFFLOAD] {
                let status = plain.status.union(bit).rawValue
                // CTA_STATUS 3, CTA_PROTOINFO 4, CTA_TIMEOUT 7.
                let offloaded = message.removingAttributes([3, 4, 7]).adding(
                    3, (0..<4).map { UInt8(truncatingIfNeeded: status >> (24 - 8 * $0)) })
                var entry = try #require(try Self.entry(offloaded))
                #expect(entry.differences(in: offloaded) == [])
                #expect(!entry.fields.contains(.timeout) && entry.status.contains(bit))
                entry.prepareForReplication()
                #expect(!entry.status.contains(bit) && entry.fields.contains(.timeout))
                let isSCTP = entry.key.tuple.protocolNumber == ProtocolNumber.sctp
                #expect(entry.isSufficient != isSCTP)
                count += 1
            }
        }
        #expect(count > 500)
    }
}
