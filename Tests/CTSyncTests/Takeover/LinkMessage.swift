// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

/// An answer to RTM_GETLINK as a kernel gives it, put together field by field (little-endian host).
enum LinkMessage {
    /// RTM_NEWLINK with these attributes.
    static func newLink(
        index: UInt8, family: UInt8 = 0, flags: UInt8 = 0x43, _ attributes: [[UInt8]]
    ) -> [UInt8] {
        message(
            type: 16,
            [family, 0, 1, 0]  // ifi_family, padding, ifi_type ARPHRD_ETHER
                + [index, 0, 0, 0]  // ifi_index
                + [flags, 0x10, 0, 0]  // ifi_flags
                + [0, 0, 0, 0]  // ifi_change
                + attributes.flatMap { $0 })
    }

    /// A message with its nlmsghdr.
    static func message(type: UInt8, flags: UInt8 = 2, _ body: [UInt8]) -> [UInt8] {
        let length = 16 + body.count
        return [UInt8(length & 0xFF), UInt8(length >> 8), 0, 0]  // nlmsg_len
            + [type, 0]  // nlmsg_type
            + [flags, 0]  // nlmsg_flags: NLM_F_MULTI
            + [1, 0, 0, 0]  // nlmsg_seq
            + [9, 0, 0, 0]  // nlmsg_pid
            + body
    }

    /// struct rtattr, its value and the padding.
    static func attribute(_ type: UInt8, _ value: [UInt8], nested: Bool = false) -> [UInt8] {
        let length = 4 + value.count
        let padding = [UInt8](repeating: 0, count: (4 - length % 4) % 4)
        return [UInt8(length & 0xFF), UInt8(length >> 8), type, nested ? 0x80 : 0] + value + padding
    }

    /// IFLA_IFNAME
    static func name(_ name: String) -> [UInt8] { attribute(3, Array(name.utf8) + [0]) }

    /// IFLA_LINKINFO with IFLA_INFO_KIND and IFLA_INFO_DATA.
    static func info(kind: String, data: [UInt8]) -> [UInt8] {
        attribute(18, attribute(1, Array(kind.utf8) + [0]) + attribute(2, data))
    }

    /// eth0.10 on device 2.
    static let vlan = newLink(
        index: 7,
        [
            name("eth0.10"), attribute(5, [2, 0, 0, 0]),  // IFLA_LINK
            info(
                kind: "vlan",
                data: attribute(5, [0x81, 0x00])  // IFLA_VLAN_PROTOCOL, network order
                    + attribute(1, [10, 0])  // IFLA_VLAN_ID
                    + attribute(2, [1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])),  // IFLA_VLAN_FLAGS
            attribute(1, [2, 0, 0, 0, 0, 7]),  // IFLA_ADDRESS
        ])

    /// bond0, mode 802.3ad.
    static let bond = newLink(
        index: 5, flags: 0x43,
        [
            name("bond0"),
            info(kind: "bond", data: attribute(1, [4])),  // IFLA_BOND_MODE
            attribute(1, [2, 0, 0, 0, 0, 5]),
        ])

    /// A member of device 5, with the member's own data (IFLA_INFO_SLAVE_KIND and _DATA).
    static func member(_ name: String, index: UInt8) -> [UInt8] {
        newLink(
            index: index,
            [
                self.name(name), attribute(10, [5, 0, 0, 0]),  // IFLA_MASTER
                attribute(18, attribute(4, Array("bond".utf8) + [0]) + attribute(5, [])),
                attribute(1, [2, 0, 0, 0, 0, 5]),
            ])
    }

    /// One end of a veth pair whose other end is in another namespace (IFLA_LINK_NETNSID).
    static let veth = newLink(
        index: 9,
        [
            name("veth0"), attribute(5, [2, 0, 0, 0]), info(kind: "veth", data: []),
            attribute(37, [0, 0, 0, 0]),
        ])

    /// NLMSG_DONE
    static let done = message(type: 3, [0, 0, 0, 0])
}
