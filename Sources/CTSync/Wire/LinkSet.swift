// SPDX-License-Identifier: GPL-2.0-or-later

/// Some of the links of a node: of its sync devices, by their places in its configuration.
struct LinkSet: OptionSet, Sendable, Hashable, BitwiseCopyable {
    /// The most sync devices of a node.
    static let limit = 4

    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The link at a place, counted from 0.
    init(link: Int) { rawValue = 1 << UInt8(link) }

    /// The first `count` links.
    static func all(_ count: Int) -> LinkSet { LinkSet(rawValue: (1 << UInt8(count)) &- 1) }

    /// Whether the link at a place is one of them.
    func contains(link: Int) -> Bool { contains(LinkSet(link: link)) }

    /// The fewest links over which all slaves hear a master; of as few those that come first.
    ///
    /// - Parameters:
    ///   - heard: bit n is set if a slave hears the links of raw value n.
    ///   - count: how many links there are.
    /// - Returns: all if there is no slave, or one that is not known to hear any of them.
    static func fewest(reaching heard: UInt16, of count: Int) -> LinkSet {
        var best = all(count)
        guard heard != 0, heard & 1 == 0 else { return best }
        for bits in 1...best.rawValue where bits.nonzeroBitCount < best.rawValue.nonzeroBitCount {
            let reachesAll = (1..<16).allSatisfy { heard & (1 << $0) == 0 || UInt8($0) & bits != 0 }
            if reachesAll { best = LinkSet(rawValue: bits) }
        }
        return best
    }
}
