// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// How a cluster changes over from no key to one, and from one key to the next.
@Suite struct LinkSealTests {
    private let start = 10 * Duration.second

    private static func isSealed(_ datagram: [UInt8]) -> Bool {
        SealEnvelope.isSealed(datagram.span.bytes)
    }

    @Test func permissiveNodesDoNotSealBeforeOneIsHeardThatDoes() throws {
        let one = try SealedNode(1, keys: [1], .permissive)
        let two = try SealedNode(2, keys: [1], .permissive)
        let plain = try SealedNode(3, keys: [], .off)
        let packet = one.packet(now: start)
        #expect(!Self.isSealed(packet))
        #expect(plain.open(packet, from: one, now: start) != nil)
        #expect(two.open(packet, from: one, now: start) != nil)
        #expect(one.seal.wantsBeacon(now: start))
    }

    @Test func theyDoWhenNobodyIsLeftThatDoesNot() throws {
        let one = try SealedNode(1, keys: [1], .permissive)
        let two = try SealedNode(2, keys: [1], .permissive)
        let plain = try SealedNode(3, keys: [], .off)
        Self.meet(one, two, start)
        #expect(one.open(plain.packet(now: start), from: plain, now: start) != nil)
        #expect(!Self.isSealed(one.packet(now: start)))
        // Who has proved itself is answered with a seal all the same.
        #expect(Self.isSealed(one.packet(to: two.peer, now: start)))
        #expect(!Self.isSealed(one.packet(to: plain.peer, now: start)))
        let later = start + LinkSeal.heardInterval
        one.open(two.packet(to: one.peer, now: later - 1), from: two, now: later - 1)
        let packet = one.packet(now: later)
        #expect(Self.isSealed(packet) && !one.seal.wantsBeacon(now: later))
        #expect(two.open(packet, from: one, now: later) != nil)
        // All are silent: the next one that comes may have no key yet.
        #expect(!Self.isSealed(one.packet(now: later + LinkSeal.heardInterval)))
    }

    @Test func aNodeThatSealsIsNoStrangerWhereOthersDoNot() throws {
        let one = try SealedNode(1, keys: [1], .permissive)
        let two = try SealedNode(2, keys: [1], .permissive)
        Self.meet(one, two, start)
        let unsealed = try SealedNode(1, keys: [], .off).packet(now: start)
        #expect(two.open(unsealed, from: one, now: start) != nil)
        #expect(two.report.strangers.all(now: start).isEmpty)
        #expect(two.report.unsealed == 1)
    }

    /// Old and new key, then new and old, then the new one alone; always one node before the other.
    @Test func aKeyIsReplacedWithoutAPacketLost() throws {
        let (one, two) = (try SealedNode(1, keys: [1]), try SealedNode(2, keys: [1]))
        SealedNode.meet(one, two, now: start)
        func goThrough() {
            #expect(two.open(one.packet(now: start), from: one, now: start) != nil)
            #expect(one.open(two.packet(now: start), from: two, now: start) != nil)
        }
        for keys in [[1, 2], [2, 1], [2]] as [[UInt8]] {
            for node in [one, two] {
                try node.seal.use(try keys.map { try SealTests.key($0) }, .strict)
                goThrough()
            }
        }
        #expect(one.report.anotherKey == 0 && two.report.anotherKey == 0)
        #expect(one.seal.keyCount == 1)
    }

    @Test func aKeyThatGoesAwayLeavesNothingSealed() throws {
        let one = try SealedNode(1, keys: [1])
        #expect(Self.isSealed(one.packet(now: start)) && one.seal.overhead == 40)
        try one.seal.use([], .off)
        #expect(!Self.isSealed(one.packet(now: start)) && one.seal.overhead == 0)
    }

    @Test func placesForStrangersAreAFew() {
        var strangers = Strangers()
        func heard(_ id: UInt8, _ at: Instant) {
            strangers.heard(SampleReport.stranger(id, heard: at))
        }
        for id in 1...20 as ClosedRange<UInt8> { heard(id, start) }
        // Who came first keeps its place: nobody can push the others out.
        #expect(Set(strangers.all(now: start).map(\.nodeID)) == Set(1...8))
        heard(3, start + Strangers.silence - 1)
        #expect(strangers.all(now: start + Strangers.silence).map(\.nodeID) == [3])
    }

    /// A permissive node that nobody has proved a key to seals one packet a second, and the others not.
    @Test func whoSpeaksInBothWaysIsAStrangerAllTheWhile() {
        var strangers = Strangers()
        let stranger = SampleReport.stranger(3, .unsealed, heard: start)
        var now = start
        strangers.heard(stranger)
        for _ in 0..<20 {
            now += Duration.second
            strangers.understands(3, stranger.peer, now: now)
            #expect(strangers.all(now: now).map(\.nodeID) == [3])
            now += 100 * Duration.millisecond
            strangers.heard(SampleReport.stranger(3, .unsealed, heard: now))
        }
        // It has got its key.
        strangers.understands(3, stranger.peer, now: now + 1)
        #expect(strangers.all(now: now + Strangers.understoodSilence).isEmpty)
    }

    @Test func aStrangerInBothFamiliesIsOne() {
        var strangers = Strangers()
        for (family, at) in [(.ipv4, start), (.ipv6, start + 1), (.ipv4, start + 2)]
            as [(Family, Instant)]
        {
            let peer = PeerAddress(address: Address(ipv4: 1), family: family, port: 1)
            strangers.heard(SampleReport.stranger(at: peer, heard: at))
            #expect(strangers.all(now: at).map(\.peer.family) == [.ipv4])
        }
        let peer = PeerAddress(address: Address(ipv4: 1), family: .ipv6, port: 1)
        let later = start + 2 * Duration.second
        strangers.heard(SampleReport.stranger(at: peer, heard: later))
        #expect(strangers.all(now: later).map(\.peer.family) == [.ipv6])
    }

    /// A sealed packet of the first brings the two together, as a beacon does.
    private static func meet(_ one: SealedNode, _ two: SealedNode, _ now: Instant) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 120, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        two.open(Array(one.sealer.finish(memory, one.sealer.always)), from: one, now: now)
        for _ in 0..<3 {
            for datagram in two.port.take() { one.open(datagram, from: two, now: now) }
            for datagram in one.port.take() { two.open(datagram, from: one, now: now) }
        }
    }
}
