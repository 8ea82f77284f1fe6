// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct SealTests {
    static func key(_ byte: UInt8) throws -> SealKey {
        try #require(SealKey([UInt8](repeating: byte, count: 32)))
    }

    static func ring(_ keys: [UInt8], cluster: String = "") throws -> SealKeyRing {
        try SealKeyRing(keys.map { try key($0) }, cluster: cluster)
    }

    /// A datagram with this content, sealed.
    static func sealed(
        _ content: [UInt8], by sealer: Sealer, _ kind: SealEnvelope.Kind = .SEALED
    ) -> [UInt8] {
        var datagram = [UInt8](repeating: 0xEE, count: SealEnvelope.byteCount) + content
        datagram.withUnsafeMutableBytes { sealer.seal($0, kind) }
        return datagram
    }

    /// The content of a datagram.
    static func opened(
        _ datagram: [UInt8], by opener: SealOpener, isProven: Bool = true
    ) throws -> [UInt8] {
        var datagram = datagram
        let envelope = try SealEnvelope.read(datagram.span.bytes)
        try datagram.withUnsafeMutableBytes { bytes throws in
            try opener.open(bytes, envelope, isProven: isProven)
        }
        return Array(datagram[SealEnvelope.byteCount...])
    }

    private static let content = Array("192.0.2.10:40000 to 198.51.100.7:443".utf8)

    @Test func theEnvelopeIsWrittenAsWIREmdSays() throws {
        let session = SealSession(nodeID: 7, salt: 0x0102_0304_0506_0708, keys: try Self.ring([9]))
        let sealer = try Sealer(session)
        _ = Self.sealed([], by: sealer)
        let datagram = Self.sealed([1, 2, 3], by: sealer)
        let keyID = try SealDerivation(cluster: "").keyID(Self.key(9))
        #expect(
            Array(datagram[..<24]) == [
                0x10, 5, 7, keyID,  // version, SEALED, node 7, key
                0, 43, 0, 0,  // length
                1, 2, 3, 4, 5, 6, 7, 8,  // salt
                0, 0, 0, 0, 0, 0, 0, 2,  // counter
            ])
        #expect(datagram.count == 43 && Array(datagram[40...]) != [1, 2, 3])
        let envelope = try SealEnvelope.read(datagram.span.bytes)
        #expect(envelope.session == session.id && envelope.counter == 2)
        #expect(session.lastCounter == 2)
    }

    @Test func whatIsSealedIsOpenedOnTheOtherNode() throws {
        let keys = try Self.ring([1])
        let sealer = try Sealer(SealSession(nodeID: 1, salt: 5, keys: keys))
        let opener = try SealOpener(try Self.ring([1]))
        for isProven in [false, true, true, false] {
            let datagram = Self.sealed(Self.content, by: sealer)
            #expect(try Self.opened(datagram, by: opener, isProven: isProven) == Self.content)
            // Sent again it is the same, and opens again.
            #expect(try Self.opened(datagram, by: opener, isProven: isProven) == Self.content)
        }
        #expect(try Self.opened(Self.sealed([], by: sealer), by: opener) == [])
    }

    /// Nonce and key are never those of another packet: two of the same content have nothing in
    /// common but the envelope's first 16 bytes.
    @Test func noTwoPacketsAreSealedAlike() throws {
        let keys = try Self.ring([1])
        let sealers = try [(1, 5), (1, 6), (2, 5)].map { node, salt in
            try Sealer(SealSession(nodeID: node, salt: salt, keys: keys))
        }
        var seen: Set<[UInt8]> = []
        for sealer in sealers {
            for _ in 0..<3 {
                let datagram = Self.sealed([UInt8](repeating: 0, count: 16), by: sealer)
                #expect(seen.insert(Array(datagram[40...])).inserted)
            }
        }
        // Two threads of one node share the counter.
        let session = SealSession(nodeID: 1, salt: 5, keys: keys)
        let (first, second) = (try Sealer(session), try Sealer(session))
        var counters: [UInt64] = []
        for sealer in [first, second, second, first] {
            counters.append(
                try SealEnvelope.read(Self.sealed([], by: sealer).span.bytes).counter)
        }
        #expect(counters == [1, 2, 3, 4])
    }

    /// Every bit is covered: those of the clear part too.
    @Test func changedBytesAreNotOpened() throws {
        let keys = try Self.ring([1])
        let sealer = try Sealer(SealSession(nodeID: 1, salt: 5, keys: keys))
        let opener = try SealOpener(keys)
        let datagram = Self.sealed(Self.content, by: sealer)
        for place in datagram.indices {
            for bit in 0..<8 {
                var changed = datagram
                changed[place] ^= 1 << UInt8(bit)
                #expect(throws: (any Error).self) {
                    try Self.opened(changed, by: opener)
                }
            }
        }
        for count in datagram.indices {
            #expect(throws: WireError.self) {
                try Self.opened(Array(datagram[..<count]), by: opener)
            }
        }
        #expect(try Self.opened(datagram, by: opener) == Self.content)
    }

    @Test func anotherKeyOrClusterIsKnownByItsID() throws {
        let sealer = try Sealer(SealSession(nodeID: 1, salt: 5, keys: try Self.ring([1])))
        let datagram = Self.sealed(Self.content, by: sealer)
        #expect(throws: SealError.key) {
            try Self.opened(datagram, by: try SealOpener(try Self.ring([2])))
        }
        #expect(throws: SealError.key) {
            try Self.opened(datagram, by: try SealOpener(try Self.ring([1], cluster: "west")))
        }
        // The id is of one byte: what has it by chance has not the tag.
        var forged = datagram
        forged[3] = try SealDerivation(cluster: "").keyID(Self.key(2))
        #expect(throws: SealError.tag) {
            try Self.opened(forged, by: try SealOpener(try Self.ring([2])))
        }
    }

    /// Rotation: first every node accepts the new key, then every node seals with it.
    @Test func keysAreReplacedWithoutAGap() throws {
        let (left, right) = (try Self.ring([1]), try Self.ring([1]))
        let session = SealSession(nodeID: 1, salt: 5, keys: left)
        let sealer = try Sealer(session)
        let opener = try SealOpener(right)
        func passes() throws -> Bool {
            do {
                return try Self.opened(Self.sealed([1], by: sealer), by: opener) == [1]
            } catch SealError.key {
                return false
            }
        }
        #expect(try passes())
        try right.replace([try Self.key(1), try Self.key(2)])
        #expect(try passes())
        try left.replace([try Self.key(2), try Self.key(1)])
        #expect(try passes())
        try right.replace([try Self.key(2)])
        #expect(try passes())
        try left.replace([try Self.key(1)])
        #expect(try !passes())
        // The counter goes on: no nonce comes twice with the first key.
        #expect(session.lastCounter == 5)
    }

    /// However many sessions come by, each packet is opened with its own key.
    @Test func moreSessionsThanPlaces() throws {
        let keys = try Self.ring([1])
        let opener = try SealOpener(keys)
        let sealers = try (1...2 * SealOpener.placeCount).map {
            try Sealer(SealSession(nodeID: UInt8($0), salt: 5, keys: keys))
        }
        for round in 0..<4 {
            for (number, sealer) in sealers.enumerated() {
                let datagram = Self.sealed([UInt8(number)], by: sealer)
                let isProven = (round + number) % 3 > 0
                #expect(
                    try Self.opened(datagram, by: opener, isProven: isProven) == [UInt8(number)])
            }
        }
    }

    @Test func twoKeysOfOneIDAreRefused() throws {
        let derivation = SealDerivation(cluster: "")
        var first: [UInt8: SealKey] = [:]
        for number in UInt64(0)... {
            let bytes = withUnsafeBytes(of: number) { Array($0) }
            let key = try #require(SealKey(bytes + [UInt8](repeating: 0, count: 24)))
            guard let other = first.updateValue(key, forKey: derivation.keyID(key)) else {
                continue
            }
            let error = #expect(throws: ConfigurationError.self) {
                try SealKeyRing([other, key], cluster: "")
            }
            #expect(error?.sentence.contains("have the same id") == true)
            return
        }
    }
}
