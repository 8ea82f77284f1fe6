// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Testing

@testable import CTSync

/// The algorithms, by their published test vectors.
@Suite struct SealVectorTests {
    static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.filter { !$0.isWhitespace })
        return stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
    }

    /// One case of AES-256-GCM.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var key = String(repeating: "00", count: 32)
        var nonce = String(repeating: "00", count: 12)
        var header = ""
        var plain = ""
        var sealed = ""
        let tag: String
        var testDescription: String { name }
    }

    /// The GCM specification of McGrew and Viega, as submitted to NIST, cases 13, 14 and 16.
    static let cases = [
        Case(name: "13", tag: "530f8afbc74536b9a963b4f1c4cb738b"),
        Case(
            name: "14", plain: "00000000000000000000000000000000",
            sealed: "cea7403d4d606b6e074ec5d3baf39d18", tag: "d0d1c8a799996bf0265b98b5d48ab919"),
        Case(
            name: "16",
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888", header: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            plain: """
                d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39
                """,
            sealed: """
                522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
                """,
            tag: "76fc6ece0f4e1768cddf8853bb2d551b"),
    ]

    @Test(arguments: cases)
    func sealing(_ sample: Case) throws {
        let cipher = try #require(ctsync_gcm_new(1))
        defer { ctsync_gcm_free(cipher) }
        let (nonce, header) = (Self.bytes(sample.nonce), Self.bytes(sample.header))
        #expect(ctsync_gcm_set_key(cipher, Self.bytes(sample.key)) == 0)
        // The same twice: nothing is left over from the first.
        for _ in 0..<2 {
            var text = Self.bytes(sample.plain)
            var tag = [UInt8](repeating: 0, count: 16)
            #expect(
                ctsync_gcm_seal(cipher, nonce, header, header.count, &text, text.count, &tag) == 0)
            #expect(text == Self.bytes(sample.sealed) && tag == Self.bytes(sample.tag))
        }
    }

    @Test(arguments: cases)
    func opening(_ sample: Case) throws {
        let cipher = try #require(ctsync_gcm_new(0))
        defer { ctsync_gcm_free(cipher) }
        let (nonce, header) = (Self.bytes(sample.nonce), Self.bytes(sample.header))
        #expect(ctsync_gcm_set_key(cipher, Self.bytes(sample.key)) == 0)
        var tag = Self.bytes(sample.tag)
        tag[15] ^= 1
        var text = Self.bytes(sample.sealed)
        #expect(ctsync_gcm_open(cipher, nonce, header, header.count, &text, text.count, tag) != 0)
        tag[15] ^= 1
        // A failure leaves nothing behind.
        text = Self.bytes(sample.sealed)
        #expect(ctsync_gcm_open(cipher, nonce, header, header.count, &text, text.count, tag) == 0)
        #expect(text == Self.bytes(sample.plain))
    }

    /// RFC 5869, appendix A, cases 1 to 3.
    @Test(
        arguments: [
            (
                String(repeating: "0b", count: 22), "000102030405060708090a0b0c",
                "f0f1f2f3f4f5f6f7f8f9",
                """
                3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf
                34007208d5b887185865
                """
            ),
            (
                hex(0x00...0x4f), hex(0x60...0xaf), hex(0xb0...0xff),
                """
                b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c
                59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71
                cc30c58179ec3e87c14c01d5c1f3434f1d87
                """
            ),
            (
                String(repeating: "0b", count: 22), "", "",
                """
                8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d
                9d201395faa4b61a96c8
                """
            ),
        ])
    func deriving(_ key: String, _ salt: String, _ information: String, _ output: String) {
        let (key, salt) = (Self.bytes(key), Self.bytes(salt))
        let (information, expected) = (Self.bytes(information), Self.bytes(output))
        var derived = [UInt8](repeating: 0, count: expected.count)
        #expect(
            ctsync_hkdf(
                key, key.count, salt, salt.count, information, information.count, &derived,
                derived.count) == 0)
        #expect(derived == expected)
    }

    private static func hex(_ range: ClosedRange<UInt8>) -> String {
        range.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
