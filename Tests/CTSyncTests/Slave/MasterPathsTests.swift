// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct MasterPathsTests {
    private static let interval = 50 * Duration.millisecond

    private static func peer(_ link: UInt8, _ family: Family = .ipv4) -> PeerAddress {
        PeerAddress(address: Address(ipv4: 0xA9FE_0001), family: family, port: 1, link: link)
    }

    /// Announcements of two links every 50 ms; of each those that its closure lets through.
    private static func run(
        _ paths: inout MasterPaths, _ rounds: Range<Int>, first: (Int) -> Bool,
        second: (Int) -> Bool
    ) -> [Int] {
        var changes: [Int] = []
        for round in rounds {
            let now = 10 * Duration.second + UInt64(round) * interval
            if first(round), paths.announced(1, now: now) { changes.append(round) }
            if second(round), paths.announced(2, now: now) { changes.append(round) }
        }
        return changes
    }

    @Test func aLinkThatIsSilentWhileAnotherGoesOnIsCut() {
        var paths = MasterPaths()
        _ = Self.run(&paths, 0..<10, first: { _ in true }, second: { _ in true })
        #expect(paths.links == .all(2))
        let changes = Self.run(&paths, 10..<20, first: { _ in false }, second: { _ in true })
        // The third that is missing.
        #expect(changes == [12] && paths.links == LinkSet(link: 1))
        // Both silent: nothing says which of them is cut.
        _ = Self.run(&paths, 400..<401, first: { _ in true }, second: { _ in true })
        #expect(paths.links.contains(link: 0) && paths.links.contains(link: 1))
    }

    @Test func aLinkThatLosesIsLeftAndComesBackAfterAWholePeriod() {
        var paths = MasterPaths()
        _ = Self.run(&paths, 0..<100, first: { $0 % 3 != 0 }, second: { _ in true })
        #expect(paths.links == LinkSet(link: 1))
        let changes = Self.run(&paths, 100..<150, first: { _ in true }, second: { _ in true })
        #expect(changes.count == 1 && paths.links == .all(2))
        #expect(changes.allSatisfy { (119...142).contains($0) }, "\(changes)")
        // Both lose: the better one would be the one to be used, and neither is better.
        _ = Self.run(&paths, 150..<250, first: { $0 % 3 != 0 }, second: { $0 % 3 != 1 })
        #expect(paths.links == .all(2))
    }

    @Test func aMasterWithOneLinkIsNotJudged() {
        var paths = MasterPaths()
        for number in [UInt8(0), 5, 255] {
            #expect(!paths.announced(number, now: 1) && paths.links.isEmpty)
        }
    }

    /// It is answered by each link that it was heard by, IPv4 before IPv6 on each.
    @Test func addressesAreKeptByLink() {
        var paths = MasterPaths()
        paths.heard(Self.peer(1, .ipv6), now: 5)
        #expect(paths.address(0) == nil && paths.address(1) == Self.peer(1, .ipv6))
        paths.heard(Self.peer(1), now: 6)
        paths.heard(Self.peer(1, .ipv6), now: 7)
        paths.heard(Self.peer(200), now: 8)
        #expect(paths.address(1) == Self.peer(1) && paths.heardAt(1) == 6)
        #expect((0..<4).filter { paths.address($0) != nil } == [1])
    }

    /// What is shown of a master, and who is asked first: the first link while it is heard.
    @Test func theFirstLinkIsPreferred() {
        var preferred = PreferredAddress()
        preferred.heard(Self.peer(1), now: 10)
        preferred.heard(Self.peer(0, .ipv6), now: 11)
        preferred.heard(Self.peer(1), now: 12)
        #expect(preferred.address == Self.peer(0, .ipv6))
        preferred.heard(Self.peer(1), now: 11 + PreferredAddress.silence)
        #expect(preferred.address == Self.peer(1))
    }
}
