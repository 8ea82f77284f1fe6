// SPDX-License-Identifier: GPL-2.0-or-later

/// What a node does about the seal of packets.
package enum SealMode: UInt8, Sendable, CaseIterable {
    /// There is no key: nothing is sealed, and nothing that is sealed can be read.
    case off = 0
    /// Both kinds are taken. What goes out is sealed as soon as nobody is heard that does not seal.
    case permissive = 1
    /// Everything is sealed, and nothing else is taken.
    case strict = 2
}
