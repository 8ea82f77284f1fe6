// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct LinkSetTests {
    /// What slaves hear, each a set of links as bits, and the links that are used then.
    @Test(
        arguments: [
            ([], 2, 0b11), ([0b11], 2, 0b01), ([0b10], 2, 0b10), ([0b01, 0b10], 2, 0b11),
            ([0b11, 0b10], 2, 0b10), ([0b01, 0b11], 2, 0b01), ([0], 2, 0b11), ([0b1], 1, 0b1),
            ([0b0110, 0b1100, 0b0101], 4, 0b0100), ([0b1000], 4, 0b1000),
            ([0b0001, 0b0010, 0b0100, 0b1000], 4, 0b1111), ([0b0011, 0b1100], 4, 0b0101),
            ([0b1111, 0b1111], 4, 0b0001),
        ] as [([Int], Int, UInt8)])
    func asFewLinksAsReachAllSlaves(_ heard: [Int], _ count: Int, _ used: UInt8) {
        let bits = heard.reduce(UInt16(0)) { $0 | 1 << UInt16($1) }
        #expect(LinkSet.fewest(reaching: bits, of: count) == LinkSet(rawValue: used))
    }

    @Test func setsOfTheFirstLinks() {
        #expect((1...4).map { LinkSet.all($0).rawValue } == [1, 3, 7, 15])
        #expect(LinkSet.all(2).contains(link: 1) && !LinkSet.all(2).contains(link: 2))
    }

    /// A master with one link, and its slave, write zeros where others have their links.
    @Test func theNumbersOfLinksOnTheWire() throws {
        for (link, links) in [(UInt8(0), LinkSet()), (3, [LinkSet(link: 0), LinkSet(link: 2)])] {
            var announcement = Announcement()
            announcement.link = link
            let place = PacketHeader.byteCount
            var bytes = [UInt8](repeating: 9, count: place + Announcement.byteCount)
            bytes.withUnsafeMutableBytes { raw in
                var span = raw.mutableBytes
                announcement.write(&span)
            }
            #expect(bytes[place + 26] == link && bytes[(place + 27)...].allSatisfy { $0 == 0 })
            #expect(try Announcement.read(bytes.span.bytes) == announcement)
            var report = SlaveReport()
            report.links = links
            bytes.withUnsafeMutableBytes { raw in
                var span = raw.mutableBytes
                report.write(&span, at: place)
            }
            #expect(bytes[place + 26] == links.rawValue && bytes[place + 27] == 0)
            #expect(try SlaveReport.read(bytes.span.bytes, after: 0) == report)
        }
    }
}
