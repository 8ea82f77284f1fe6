// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// The daemon's flags. All are text here: the library checks them, as it does the file's.
struct SettingFlags: ParsableArguments {
    @Option(help: ArgumentHelp("The device of the sync link.", valueName: "device"))
    var syncdev: String?

    @Option(
        help: ArgumentHelp(
            "The role to start in: master or 1, slave or 0. (default: what the control file of a "
                + "killed daemon says, else slave)", valueName: "role"))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "This node's number, 0 to 255, unlike all others'. (default: 0)", valueName: "number"))
    var id: String?

    @Option(
        help: ArgumentHelp(
            "1 drops every frame of a slave at layer 2, but for syncdev's. (default: 0)",
            valueName: "0|1"))
    var l2drop: String?

    @Option(
        help: ArgumentHelp(
            "What drops them: netdev (nftables hooks), tables (arptables, ebtables, iptables, "
                + "ip6tables) or auto, netdev where the kernel has it. (default: auto)",
            valueName: "backend"))
    var l2dropBackend: String?

    @Option(
        name: .customLong("l2drop-exempt"),
        help: ArgumentHelp(
            "A device that stays open besides syncdev; repeatable.", valueName: "device"))
    var l2dropExempt: [String] = []

    @Option(
        help: ArgumentHelp(
            "What becomes of the drop at an orderly stop of a slave: keep or open. "
                + "(default: keep)", valueName: "keep|open"))
    var l2dropOnExit: String?

    @Option(
        help: ArgumentHelp(
            "1 announces the node's addresses by ARP and neighbour advertisements when l2drop is "
                + "lifted. (default: 1)", valueName: "0|1"))
    var announceNeighbours: String?

    @Option(
        help: ArgumentHelp(
            "The file that takes and shows the role. "
                + "(default: \(Configuration.defaultControlFile))", valueName: "path"))
    var controlFile: String?

    @Option(
        help: ArgumentHelp(
            "The multicast group, IPv4 or IPv6. (default: a link-local one)",
            valueName: "address"))
    var group: String?

    @Option(help: ArgumentHelp("The UDP port. (default: 3781)", valueName: "number"))
    var port: String?

    @Option(
        name: .customLong("peer"),
        help: ArgumentHelp(
            "Another node, to be sent to by itself and not by multicast; repeatable.",
            valueName: "address"))
    var peers: [String] = []

    @Option(
        help: ArgumentHelp(
            "Packets per second of an initsync, 0 for as fast as the slave keeps up. "
                + "(default: 1000)", valueName: "rate"))
    var initsyncRate: String?

    @Option(
        help: ArgumentHelp(
            "Packets kept for retransmission, a power of two from 64 to 1048576. (default: 8192)",
            valueName: "packets"))
    var ringSlots: String?

    @Option(
        help: ArgumentHelp(
            "Entries that a slave holds. (default: the kernel's nf_conntrack_max)",
            valueName: "entries"))
    var maxEntries: String?

    @Option(
        help: ArgumentHelp(
            "Seconds that a promotion in the middle of an initsync waits for its end, at most. "
                + "(default: 0)", valueName: "seconds"))
    var requireSync: String?

    @Option(
        help: ArgumentHelp(
            "The least important messages that are logged: trace, debug, info, notice, warning, "
                + "error or critical. (default: info)", valueName: "level"))
    var logLevel: String?

    @Option(
        name: .customLong("replicate"),
        help: ArgumentHelp(
            "Which connections are replicated, as \"accept protocol tcp state ESTABLISHED\" or "
                + "\"ignore destination 192.0.2.0/24\"; repeatable, the first rule that holds "
                + "decides, then the opposite of the last. Criteria: protocol, source, "
                + "destination, state, assured, mark, zone. (default: all of them)",
            valueName: "rule"))
    var rules: [String] = []

    @Option(
        help: ArgumentHelp(
            "1 also replicates connections that begin or end at the firewall itself. (default: 0)",
            valueName: "0|1"))
    var ownConnections: String?

    @Option(
        help: ArgumentHelp(
            "A file of \"options ct_sync name=value ...\" lines; flags win over it. "
                + "(default: \(ConfigurationFile.defaultPath), if it is there)",
            valueName: "file"))
    var config: String?

    @Argument(
        help: ArgumentHelp(
            "The same settings as the kernel module takes them: syncdev=eth2 state=1 ...",
            valueName: "name=value"))
    var parameters: [String] = []

    /// All settings, checked: those of the file, then the parameters, then the flags.
    func configuration() throws(ConfigurationError) -> Configuration {
        let file =
            if let config {
                try ConfigurationFile(path: config).settings
            } else {
                try ConfigurationFile.ifPresent()?.settings ?? []
            }
        var given: [Setting] = []
        for word in parameters {
            given.append(try Setting(word: word, .parameter))
        }
        let flags: [(String, String?)] = [
            ("syncdev", syncdev), ("state", state), ("id", id), ("l2drop", l2drop),
            ("l2drop-backend", l2dropBackend), ("l2drop-on-exit", l2dropOnExit),
            ("announce-neighbours", announceNeighbours),
            ("control-file", controlFile), ("group", group), ("port", port),
            ("initsync-rate", initsyncRate), ("ring-slots", ringSlots),
            ("max-entries", maxEntries), ("require-sync", requireSync),
            ("log-level", logLevel),
            ("own-connections", ownConnections),
        ]
        for (name, value) in flags {
            if let value { given.append(Setting(name, value, .flag)) }
        }
        given += peers.map { Setting("peer", $0, .flag) }
        given += l2dropExempt.map { Setting("l2drop-exempt", $0, .flag) }
        given += rules.map { Setting("replicate", $0, .flag) }
        return try Configuration(file: file, commandLine: given)
    }
}
