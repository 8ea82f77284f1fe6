// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct TraitsTests {
    private static var sample: Traits {
        var traits = Traits()
        traits[.conntrackMax] = 262_144
        traits[.closeTimeout] = 10
        traits[.noNATChain] = 3
        traits[.verifiedAge] = 42
        return traits
    }

    @Test func theBytesAreThoseOfTheTable() {
        let bytes = PacketBytes.traits(Self.sample)
        #expect(bytes.count == 132)
        #expect(bytes[..<4] == [32, 0, 0, 0])
        #expect(bytes[4..<8] == [0, 4, 0, 0], "nf_conntrack_max")
        #expect(bytes[8..<12] == [0xFF, 0xFF, 0xFF, 0xFF], "not known")
        #expect(bytes[92..<96] == [0, 0, 0, 10], "tcp_close")
        #expect(bytes[96..<100] == [0, 0, 0, 3], "no nat chain")
        #expect(bytes[128..<132] == [0, 0, 0, 42], "seconds since")
        let read = Traits.read(bytes.span.bytes, at: 0)
        #expect(read == Self.sample)
        #expect(read?[.buckets] == nil && read?[.verifiedAge] == 42)
    }

    @Test func whatIsTooShortSaysNothing() {
        let bytes = PacketBytes.traits(Self.sample)
        for length in 0..<bytes.count {
            let short = Array(bytes[..<length])
            #expect(Traits.read(short.span.bytes, at: 0) == nil, "\(length)")
        }
        var none = bytes
        none[0] = 0
        #expect(Traits.read(none.span.bytes, at: 0) == nil)
    }

    /// Of another version with more of them, and of one with fewer.
    @Test func othersMayKnowMoreOrFewer() {
        var more = PacketBytes.traits(Self.sample) + [0, 0, 0, 1]
        more[0] = 33
        #expect(Traits.read(more.span.bytes, at: 0) == Self.sample)
        var fewer = Array(PacketBytes.traits(Self.sample)[..<8])
        fewer[0] = 1
        let read = Traits.read(fewer.span.bytes, at: 0)
        #expect(read?[.conntrackMax] == 262_144 && read?[.closeTimeout] == nil)
    }

    @Test func largeNumbersAreNotTakenForUnknownOnes() {
        var traits = Traits()
        traits[.conntrackMax] = .max
        #expect(traits[.conntrackMax] == UInt32.max - 1)
        traits[.conntrackMax] = nil
        #expect(traits == Traits())
    }

    @Test func anAnnouncementHasThemBehindItsAddresses() throws {
        let addresses = ["10.1.0.9", "fd00:1::9"].compactMap { HostAddress(text: $0) }
        for list in [[], addresses] {
            let announcement = Announcement(addresses: list, traits: Self.sample)
            var bytes = [UInt8](
                repeating: 0xEE, count: PacketHeader.byteCount + announcement.byteCount)
            bytes.withUnsafeMutableBytes { raw in
                var span = raw.mutableBytes
                announcement.write(&span)
            }
            #expect(try Announcement.read(bytes.span.bytes).traits == Self.sample)
            var found: [HostAddress] = []
            Announcement.readAddresses(bytes.span.bytes, into: &found)
            #expect(found == list)
            // A part of them is none.
            let short = Array(bytes.dropLast())
            #expect(try Announcement.read(short.span.bytes).traits == nil)
        }
        let plain = PacketHeader.byteCount + Announcement(traits: Self.sample).byteCount
        #expect(48 + SealEnvelope.byteCount + plain <= SyncSocket.smallestMTU)
    }

    @Test func everySysctlHasAName() {
        #expect(KernelTrait.sysctls.count == 23)
        #expect(KernelTrait.sysctls.allSatisfy { !$0.name.isEmpty && $0.lack == nil })
        #expect(Set(KernelTrait.sysctls.map(\.name)).count == 23)
        for trait in KernelTrait.allCases {
            #expect(trait.lack.map { KernelTrait(lack: $0) == trait } ?? true)
        }
    }
}
