// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

struct AccountingTests {
    /// An attribute as the kernel writes it here: its header in host order, then its value.
    private static func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        host(UInt16(4 + value.count)) + host(type) + value
            + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
    }

    private static func host<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    private static func network(_ number: UInt64) -> [UInt8] { host(number.bigEndian) }

    private static func message(_ attributes: [UInt8]) -> [UInt8] {
        let length = 20 + attributes.count
        return host(UInt32(length))  // nlmsg_len
            + host(UInt16(0x0102)) + host(UInt16(0))  // IPCTNL_MSG_CT_DELETE, flags
            + host(UInt32(0)) + host(UInt32(0))  // nlmsg_seq, nlmsg_pid
            + [2, 0, 0, 0]  // AF_INET, version, res_id
            + attributes
    }

    private static let counters =
        attribute(9 | 0x8000, attribute(1, network(3)) + attribute(2, network(180)))
        + attribute(10 | 0x8000, attribute(1, network(2)) + attribute(2, network(1 << 40)))
    private static let times =
        attribute(20 | 0x8000, attribute(1, network(1_000)) + attribute(2, network(5_000)))

    private func read(_ bytes: [UInt8]) -> Accounting {
        bytes.withUnsafeBytes { Accounting($0.bytes) }
    }

    @Test func countersAndTimesAreRead() {
        let status = Self.attribute(3, [0, 0, 0, 8])
        let accounting = read(Self.message(status + Self.counters + Self.times))
        #expect(accounting.original == Accounting.Count(packets: 3, bytes: 180))
        #expect(accounting.reply == Accounting.Count(packets: 2, bytes: 1 << 40))
        #expect(accounting.duration(now: 9_000) == 4_000)
        let alive = read(Self.message(Self.attribute(20, Self.attribute(1, Self.network(1_000)))))
        #expect(alive.original == nil && alive.duration(now: 9_000) == 8_000)
        #expect(read(Self.message(status)) == Accounting())
    }

    @Test func whatIsCutShortCountsNothing() {
        let whole = Self.message(Self.counters + Self.times)
        for length in 0..<whole.count { #expect(read(Array(whole.prefix(length))) == Accounting()) }
        // A counter of four bytes is none.
        let short = Self.message(Self.attribute(9, Self.attribute(1, [0, 0, 0, 1])))
        #expect(read(short) == Accounting())
    }
}
