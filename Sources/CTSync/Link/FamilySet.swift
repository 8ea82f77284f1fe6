// SPDX-License-Identifier: GPL-2.0-or-later

/// IPv4, IPv6, both or neither.
struct FamilySet: OptionSet, Sendable, BitwiseCopyable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The set of one family.
    init(_ family: Family) { self = family == .ipv4 ? .ipv4 : .ipv6 }

    static let ipv4 = FamilySet(rawValue: 1 << 0)
    static let ipv6 = FamilySet(rawValue: 1 << 1)

    /// The families that packets for all nodes go out in.
    ///
    /// - Parameters:
    ///   - configured: those that there is a destination in.
    ///   - usable: those that the device has an address of.
    ///   - heard: those that peers were heard in lately.
    /// - Returns: what is heard in; all that is usable until a peer was heard, and all that is
    ///   configured while the device has no address.
    static func inUse(
        configured: FamilySet, usable: FamilySet, heard: FamilySet
    ) -> FamilySet {
        let possible = configured.intersection(usable)
        guard !possible.isEmpty else { return configured }
        let wanted = possible.intersection(heard)
        return wanted.isEmpty ? possible : wanted
    }
}
