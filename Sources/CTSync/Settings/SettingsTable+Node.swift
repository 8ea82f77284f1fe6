// SPDX-License-Identifier: GPL-2.0-or-later

/// What a node is, and how dark a slave is.
extension SettingsTable {
    static let node = [
        SettingDescription(
            "syncdev", .device, .required, isRepeatable: true,
            "The device of the sync link.",
            "A cable or a VLAN of its own between the firewalls. It must exist and have an "
                + "address. It may be given up to four times, for links that stand in for each "
                + "other: announcements go over all, the stream over as few as reach all "
                + "slaves, the first ones if they are as good. One of them has to be there at "
                + "the start. They may differ in MTU and family.",
            "eth2", take: addSyncDevice),
        SettingDescription(
            "state", .role, into: \.state,
            unless: "what the control file of a killed daemon says, else slave",
            "The role to start in.",
            details: "Leave it out if a cluster manager gives the role: a master that was killed "
                + "then starts again as master, and any other node as slave. What a "
                + "manager wrote to the control file before the start counts too.",
            example: "0"),
        SettingDescription(
            "id", .number(0...255), into: \.nodeID,
            unless: .words("a number from 1 to 255 made of `/etc/machine-id`"),
            "This node's number, 0 to 255. Each node on the link needs a different one.",
            details: "Log and status show the number that was made. One pair of machines in 255 "
                + "gets the same.",
            example: "1"),
    ]

    @Sendable private static func addSyncDevice(
        _ setting: Setting, _ configuration: inout Configuration
    ) throws(ConfigurationError) {
        let name = try SettingKind<String>.device.read(setting)
        guard !configuration.syncdevs.contains(name) else { return }
        guard configuration.syncdevs.count < LinkSet.limit else {
            throw ConfigurationError(
                "\(setting.subject) is \(ConfigurationError.quoted(name)), one more than the "
                    + "\(LinkSet.limit) sync devices there may be", at: setting.origin.place)
        }
        configuration.syncdevs.append(name)
    }

    static let darkness = [
        SettingDescription(
            "l2drop", .flag, into: \.l2drop,
            "1 drops every frame of a slave at layer 2, in and out of every device but the sync "
                + "device and loopback.",
            details: "The drop is lifted in a promotion and put back in a demotion. A killed "
                + "daemon leaves it on, and the next one takes it over."),
        SettingDescription(
            "l2drop-backend", .l2dropBackend, into: \.l2dropBackend,
            "What drops them: `netdev` (nftables ingress and egress hooks), `tables` (arptables, "
                + "ebtables, iptables and ip6tables) or `auto`, netdev if the kernel has it.",
            details: "The programs of `tables` are looked for in `/usr/sbin`, `/sbin`, "
                + "`/usr/local/sbin`, `/usr/bin` and `/bin`, not along PATH, and each is tried at "
                + "the start, whatever the role: if one is missing or refuses, the daemon names it "
                + "and its Debian package, does not start, and leaves the node as it was."),
        SettingDescription(
            "l2drop-exempt", .device, each: \.l2dropExempt,
            "A device that stays open besides the sync device.", example: "eth3"),
        SettingDescription(
            "l2drop-on-exit", .choice([("keep", false), ("open", true)]),
            into: \.l2dropOpensOnExit,
            "Whether the drop stays on or is taken off at an orderly stop of a slave."),
        SettingDescription(
            "announce-neighbours", .flag, into: \.announcesNeighbours,
            "1 announces the node's addresses by gratuitous ARP and unsolicited neighbour "
                + "advertisements when the drop is lifted.",
            details: "They are announced a few more times in the seconds after."),
    ]
}
