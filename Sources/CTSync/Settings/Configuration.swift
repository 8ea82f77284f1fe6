// SPDX-License-Identifier: GPL-2.0-or-later

package import Logging

/// All settings of a node, each checked for itself; what depends on the machine is checked later.
package struct Configuration: Sendable, Equatable {
    /// The devices of the sync link, at most `LinkSet.limit`.
    package var syncdevs: [String]
    /// The role to start in; nil if none was given.
    package var state: Role?
    /// The number of this node, unlike that of every other node on the link.
    package var nodeID: UInt8 = 0
    /// Where that number is from.
    package var nodeIDOrigin = NodeIDOrigin.setting
    /// Whether a slave is cut off from every device but syncdev.
    package var l2drop = false
    /// What cuts it off.
    package var l2dropBackend = L2DropChoice.auto
    /// Devices that stay open besides syncdev.
    package var l2dropExempt: [String] = []
    /// Whether an orderly stop of a slave makes the node visible.
    var l2dropOpensOnExit = false
    /// Whether a takeover is announced by gratuitous ARP and neighbour advertisements.
    var announcesNeighbours = true
    /// The file that holds the role and takes a new one; an absolute path.
    package var controlFile = Configuration.defaultControlFile
    /// The multicast group; nil for the transport's own, or where there are peers.
    package var group: HostAddress?
    /// The UDP port of the sync link.
    package var port: UInt16 = 3781
    /// The other nodes, all of one family, where packets go to each instead of to a group.
    package var peers: [HostAddress] = []
    /// The devices that the scopes of peers' addresses name.
    var peerDevices: [HostAddress: [String]] = [:]
    /// The name that the cluster's nodes share; nil for none.
    var cluster: String?
    /// The file with the cluster's keys; nil for systemd's credential, or none.
    var keyFile: String?
    /// What is done about packets that are not sealed, if there is a key.
    var keyMode = SealMode.strict
    /// Packets per second of an initsync; 0 for as fast as the slave keeps up.
    package var initsyncRate: UInt32 = 1_000
    /// Seconds between two comparisons of the tables with what the nodes believe of them; 0 for none.
    var reconcileSeconds: UInt32 = 300
    /// Seconds for which the slaves keep what the kernel of a master flushed; 0 for not at all.
    var flushGraceSeconds: UInt32 = 30
    /// Packets that the sender keeps for retransmission; a power of two.
    ///
    /// A slave asks again seven times within 0.7 s (`GapTimer`); 20,000 connections a second of 103
    /// bytes are 2,000 packets a second, as one is closed each millisecond. So these are 2 s; a walk
    /// is at most 64 packets ahead of the slowest slave (`MasterProtocol.window`).
    package var ringSlots = 4_096
    /// Entries that a slave holds; nil for the kernel's nf_conntrack_max.
    package var maxEntries: Int?
    /// Which connections are replicated; the first rule that matches decides.
    var replicationRules: [ReplicationRule] = []
    /// Whether connections of the firewall's own addresses are replicated too.
    package var ownConnections = false
    /// Seconds that a promotion waits at most for the end of an initsync; 0 for not at all.
    var requireSyncSeconds: UInt32 = 0
    /// The least important messages that are still logged.
    package var logLevel = Logger.Level.info
    /// The file that was read; nil for none.
    package var path: String?

    /// The control file of a node that is given none.
    package static let defaultControlFile = ClientCommand.usualControlFile

    /// The defaults for a device.
    init(syncdev: String) {
        syncdevs = syncdev.isEmpty ? [] : [syncdev]
    }

    /// The first device of the sync link.
    package var syncdev: String { syncdevs.first ?? "" }
    /// The devices besides the first one of the sync link that stay open with l2drop.
    var openDevices: [String] { Array(syncdevs.dropFirst()) + l2dropExempt }

    /// Checks the settings of the file and those of the command line, which win.
    ///
    /// Peers and a group on the command line replace peers and a group of the file, and so do its
    /// replication rules those of the file.
    /// - Parameter path: the file's, if one was read: it is where a setting is missing then.
    /// - Throws: `ConfigurationError`, the first mistake found.
    package init(
        file: [Setting], of path: String? = nil, commandLine: [Setting]
    ) throws(ConfigurationError) {
        var replaced = Set(commandLine.map(\.canonicalName))
        if replaced.contains("peer") || replaced.contains("group") {
            replaced.formUnion(["peer", "group"])
        }
        // Those of the file that do not count are still checked: a mistake is a mistake.
        for setting in file {
            var scratch = Configuration(syncdev: "")
            try scratch.apply(setting)
        }
        try self.init(file.filter { !replaced.contains($0.canonicalName) } + commandLine, of: path)
    }

    /// Checks settings in their order; a later one replaces an earlier of its name, peers and rules add up.
    ///
    /// - Throws: `ConfigurationError`, the first mistake found.
    package init(_ settings: [Setting], of path: String? = nil) throws(ConfigurationError) {
        self.init(syncdev: "")
        for setting in settings {
            try apply(setting)
        }
        if !settings.contains(where: { $0.canonicalName == "id" }) { nodeIDOrigin = .none }
        guard !syncdev.isEmpty else { throw Self.noDevice(path) }
        for setting in settings where setting.canonicalName == "peer" { try check(peer: setting) }
        if let group, let peer = peers.first {
            let last = settings.last { ["group", "peer"].contains($0.canonicalName) }
            throw ConfigurationError(
                "group \(group) and peer \(peer) are both given, but packets go either to a group "
                    + "or to peers", at: last?.origin.place ?? .commandLine)
        }
    }

    /// The peers of a single device are of one family; a scope names a sync device.
    private mutating func check(peer setting: Setting) throws(ConfigurationError) {
        let peer = try SettingKind<HostAddress>.peer.read(setting)
        if let other = peers.first, other.family != peer.family, syncdevs.count == 1 {
            throw ConfigurationError(
                setting,
                mustBe: "an \(other.family == .ipv4 ? "IPv4" : "IPv6") address like the peer "
                    + "\(other): all peers are of one family")
        }
        guard let scope = setting.scope else { return }
        guard syncdevs.contains(scope) else {
            throw ConfigurationError(
                setting,
                mustBe: "reached by the sync device, \(syncdevs.joined(separator: " or ")): "
                    + "no other scope is of use")
        }
        peerDevices[peer, default: []].append(scope)
    }

    private static func noDevice(_ path: String?) -> ConfigurationError {
        let sentence = "syncdev is not given; name the device of the sync link with "
        guard let path else {
            return ConfigurationError(sentence + "--syncdev DEVICE", at: .commandLine)
        }
        return ConfigurationError(
            "\(path): \(sentence)a line \"options ct_sync syncdev=DEVICE\" there")
    }

    private mutating func apply(_ setting: Setting) throws(ConfigurationError) {
        guard let row = SettingsTable.row(setting.canonicalName) else {
            throw ConfigurationError(unknown: setting)
        }
        try row.take(setting, &self)
    }
}
