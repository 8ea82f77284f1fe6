// SPDX-License-Identifier: GPL-2.0-or-later

/// How a node is reached, and what is replicated at which pace.
extension SettingsTable {
    static let link = [
        SettingDescription(
            "control-file", .controlFile, into: \.controlFile,
            "The file that shows the role and through which it is changed.",
            details: "Keep it in memory, as /run is: a write to a disk that is busy may take "
                + "seconds, and a takeover waits for it."),
        SettingDescription(
            "group", .group, into: \.group,
            unless: "224.0.0.254 and ff02::114, both until another node has been heard",
            "The multicast group, IPv4 or IPv6.",
            details: "A switch that snoops (IGMP, MLD) floods 224.0.0.0/24 always, but not "
                + "ff02::114 or any other group: without queries it forgets the members. A node "
                + "that hears nobody for 3 seconds joins again every 3 seconds, so the link comes "
                + "back, and falls silent each time the switch has forgotten; on such a switch "
                + "enable a querier, turn snooping off, or use 224.0.0.254 or `peer`.",
            example: "224.0.0.254"),
        SettingDescription(
            "port", .number(1...65_535), into: \.port, "The UDP port of the sync link.",
            details: "One below 1024 needs CAP_NET_BIND_SERVICE: under systemd a drop-in with "
                + "CapabilityBoundingSet=CAP_NET_BIND_SERVICE."),
        SettingDescription(
            "peer", .peer, each: \.peers,
            "The address of another node: packets go to it instead of the group, and only peers "
                + "are heard.",
            details: "All peers of a device are of one family. A link-local address may have the "
                + "sync device as its scope (fe80::1%eth2). With several devices each has the "
                + "peers of its networks, and those whose scope it is. Not together with `group`.",
            example: "172.31.255.2"),
        SettingDescription(
            "cluster", .clusterName, into: \.cluster, unless: "no name",
            "The name of the cluster, the same on all its nodes.",
            details: "It keeps clusters apart that share a wire, a group and a port, by a copied "
                + "configuration say: packets of another cluster are counted and named in the "
                + "status, and never followed or answered. It costs no byte, and is no secret.",
            example: "edge-berlin"),
        SettingDescription(
            "key-file", .path(), into: \.keyFile,
            unless: "systemd's credential `ct_sync.key` if the service has one, else packets are "
                + "not sealed",
            "The file with the key that seals the packets of the sync link, the same on all nodes.",
            details: "`ct_sync genkey` makes one: 64 hexadecimal digits. Only its owner may be "
                + "able to read it. Further keys, a line each and 4 in all, open packets, the "
                + "first also seals. After `ct_sync rekey` or SIGHUP the file counts as it is then.",
            example: "/etc/ct_sync.key"),
        SettingDescription(
            "key-mode", .sealMode, into: \.keyMode,
            "What is done if there is a key: `strict` takes sealed packets only, `permissive` takes "
                + "both kinds.",
            details: "With `permissive` packets are sealed as soon as another node is heard that "
                + "seals, and none that does not: for the time in which the nodes of a cluster get "
                + "their key one after the other. Read again like the key."),
    ]

    static let replication = [
        SettingDescription(
            "initsync-rate", .packetsPerSecond, into: \.initsyncRate,
            "Packets per second of an initsync; 0 for as fast as the slave keeps up.",
            details: "An initsync is the transfer of the whole table to a slave that has just come "
                + "or has lost too much."),
        SettingDescription(
            "reconcile", .number(0...86_400, "seconds", named: "seconds"),
            into: \.reconcileSeconds,
            "Seconds between two walks that find what no event has reported; 0 for never.",
            details: "A master walks its whole table at the rate of an initsync, a slave compares "
                + "its kernel's with what it holds."),
        SettingDescription(
            "flush-grace", .number(0...3_600, "seconds", named: "seconds"),
            into: \.flushGraceSeconds,
            "Seconds for which the slaves keep masqueraded connections that the kernel deletes "
                + "because an address is removed or its device goes down; 0 for not at all.",
            details: "A slave that is promoted meanwhile has them. If the node is still master "
                + "after that, they go with a walk of its table."),
        SettingDescription(
            "ring-slots", .powerOfTwo(64...1_048_576, named: "packets"), into: \.ringSlots,
            "Packets that are kept to be sent again, a power of two.",
            details: "Each takes as much memory as the sync device's MTU, once it was used. A "
                + "slave that misses more of them than there are asks for the whole table."),
        SettingDescription(
            "max-entries", .number(1...1_073_741_824, named: "entries"), into: \.maxEntries,
            unless: "the kernel's net.netfilter.nf_conntrack_max",
            "The most entries that a slave holds.", example: "262144"),
        SettingDescription(
            "require-sync", .number(0...86_400, "seconds", named: "seconds"),
            into: \.requireSyncSeconds,
            "The most seconds that a promotion in the middle of an initsync waits for its end.",
            details: "After that it is carried out all the same."),
        SettingDescription(
            "log-level", .logLevel, into: \.logLevel,
            "The least important level that is logged."),
        SettingDescription(
            "replicate", .replicationRule, .words("all connections"), isRepeatable: true,
            "Which connections are replicated, as \"accept protocol tcp state ESTABLISHED\" or "
                + "\"ignore destination 192.0.2.0/24\"; the first rule that matches decides, then "
                + "the opposite of the last.",
            "Give all nodes the same rules. Rules on the command line replace those of the "
                + "file.", "\"ignore destination 192.0.2.0/24\"", take: addRule),
        SettingDescription(
            "own-connections", .flag, into: \.ownConnections,
            "1 also replicates connections that begin or end at the firewall itself."),
    ]

    /// A rule that stands twice counts twice: the last one says what becomes of the rest.
    @Sendable private static func addRule(
        _ setting: Setting, _ configuration: inout Configuration
    ) throws(ConfigurationError) {
        let rule = try SettingKind<ReplicationRule>.replicationRule.read(setting)
        guard configuration.replicationRules.count < ReplicationFilter.ruleLimit else {
            throw ConfigurationError(
                "\(setting.subject) is \(ConfigurationError.quoted(setting.value)), one more than "
                    + "the \(ReplicationFilter.ruleLimit) rules there may be",
                at: setting.origin.place)
        }
        configuration.replicationRules.append(rule)
    }
}
