// SPDX-License-Identifier: GPL-2.0-or-later

/// A dedicated link of conntrackd, checked: what a sync device of ct_sync needs to know.
struct Link {
    /// Multicast, UDP or TCP.
    let kind: String
    /// The clause.
    let clause: Clause
    /// The device.
    let device: String
    /// The multicast group or the other node.
    let target: String
    /// This node's address there, if it is said.
    let own: IPNetwork?
    /// The other node's, for UDP and TCP.
    let other: IPNetwork?
    /// conntrackd's port; nil if it is not said.
    let port: Int?

    /// The kinds of links that there are.
    static let kinds = ["Multicast", "UDP", "TCP"]

    /// Reads a link's clause.
    init(_ clause: Clause, path: String) throws(ImportMistake) {
        let kind = clause.name
        let isMulticast = kind == "Multicast"
        self.kind = kind
        self.clause = clause
        guard let device = clause.last("Interface") else {
            throw ImportMistake(
                path, clause.line, "\(kind) has no Interface, which names the sync device; add one")
        }
        self.device = device.value
        let names =
            isMulticast
            ? ["IPv4_address", "IPv6_address"]
            : ["IPv4_Destination_Address", "IPv6_Destination_Address"]
        guard let target = clause.last(names[0]) ?? clause.last(names[1]) else {
            throw ImportMistake(
                path, clause.line, "\(kind) has no \(names[0]) or \(names[1]); add one")
        }
        let network = Self.network(target)
        guard isMulticast ? network?.isMulticast == true : network?.isHost == true else {
            throw ImportMistake(
                path, target.line,
                "\(target.name) is \(ImportMistake.quoted(target.value)) but must be "
                    + (isMulticast
                        ? "a multicast address (in 224.0.0.0/4 or ff00::/8)"
                        : "the address of the other node"))
        }
        self.target = target.value
        let own =
            isMulticast
            ? clause.last("IPv4_interface")
            : clause.last("IPv4_address") ?? clause.last("IPv6_address")
        self.own = own.flatMap(Self.network)
        self.other = isMulticast ? nil : network
        port = (clause.last("Group") ?? clause.last("Port")).flatMap { Int($0.value) }
    }

    /// Whether it sends to a group.
    var isMulticast: Bool { kind == "Multicast" }

    private static func network(_ clause: Clause) -> IPNetwork? {
        IPNetwork(clause.value, clause.name.hasPrefix("IPv4") ? .ipv4 : .ipv6)
    }

    /// A number for this node, unlike the other's: the last byte of its address on the link; nil if no
    /// address says which of them it is.
    var nodeID: UInt8? {
        guard let own else { return nil }
        guard let other, other.lastByte == own.lastByte else { return own.lastByte }
        return own.bytes.lexicographicallyPrecedes(other.bytes) ? 1 : 2
    }
}
