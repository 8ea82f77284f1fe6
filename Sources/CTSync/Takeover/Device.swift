// SPDX-License-Identifier: GPL-2.0-or-later

/// A network device of this namespace, as rtnetlink describes it (`struct ifinfomsg`, IFLA_*).
struct Device: Equatable, Sendable {
    /// The tag that a VLAN device puts on its frames.
    struct Tag: Hashable, Sendable {
        /// IFLA_VLAN_ID
        var identifier: UInt16
        /// IFLA_VLAN_PROTOCOL: 0x8100 (802.1Q) or 0x88A8 (802.1ad).
        var etherType: UInt16

        /// A tag; 802.1Q unless said otherwise.
        init(identifier: UInt16, etherType: UInt16 = 0x8100) {
            self.identifier = identifier
            self.etherType = etherType
        }
    }

    /// ifi_index
    var index: UInt32
    /// IFLA_IFNAME
    var name: String
    /// IFLA_INFO_KIND ("vlan", "bond", "macvlan", ...); empty for hardware.
    var kind = ""
    /// ifi_type: 1 (ARPHRD_ETHER) for anything with Ethernet frames.
    var hardwareType: UInt16 = 1
    /// ifi_flags: IFF_*
    var flags: UInt32 = 0
    /// IFLA_LINK: the device on which this one stands, where that is in this namespace.
    var lower: UInt32?
    /// IFLA_MASTER: the bond, bridge, team or VRF to which this one belongs.
    var master: UInt32?
    /// IFLA_ADDRESS: six bytes on Ethernet.
    var address: [UInt8] = []
    /// What tells a VLAN's frames on the device below.
    var tag: Tag?

    /// A device with nothing known but its number and name.
    init(index: UInt32, name: String) {
        self.index = index
        self.name = name
    }

    /// IFF_UP
    var isUp: Bool { flags & 0x1 != 0 }
    /// IFF_LOOPBACK
    var isLoopback: Bool { flags & 0x8 != 0 }
    /// IFF_NOARP
    var hasNoNeighbours: Bool { flags & 0x80 != 0 }
}
