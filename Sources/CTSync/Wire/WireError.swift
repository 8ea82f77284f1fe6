// SPDX-License-Identifier: GPL-2.0-or-later

/// Why bytes from the wire are not a packet of ours; each has a drop counter of its own.
enum WireError: Error, CaseIterable, Sendable {
    /// Fewer bytes than a header.
    case short
    /// The length field is not the datagram's length.
    case length
    /// Another major version.
    case version
    /// A packet type that this version does not know.
    case type
    /// The checksum does not fit the bytes.
    case checksum
    /// A message that ends before its parts do, or contradicts itself.
    case message
    /// The checksum fits the bytes of a cluster with another name.
    case cluster

    /// Its place among all of them, for counters.
    var index: Int {
        switch self {
        case .short: 0
        case .length: 1
        case .version: 2
        case .type: 3
        case .checksum: 4
        case .message: 5
        case .cluster: 6
        }
    }
}
