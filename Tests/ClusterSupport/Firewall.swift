// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc
import Synchronization

/// A node's part in the cluster, as the control file names it.
package enum NodeRole: String, Sendable {
    case master
    case slave
}

/// One firewall of a `Cluster`: its namespace, its rules and its daemon.
package final class Firewall: Sendable {
    package let id: Int
    package let name: String
    package let host: Namespace
    package let controlFile: String
    private let logFile: String
    private let current = Mutex<Daemon?>(nil)

    init(id: Int, run: String, directory: String) throws {
        self.id = id
        name = "fw\(id)"
        host = try Namespace(run: run, role: name)
        controlFile = "\(directory)/\(name)/state"
        logFile = "\(directory)/\(name).log"
    }

    /// The same node with a daemon of another group: a control file and a log of its own.
    package init(_ node: Firewall, group: String) {
        id = node.id
        name = "\(node.name)-\(group)"
        host = node.host
        controlFile = node.controlFile + "-\(group)"
        logFile = node.logFile + "-\(group)"
    }

    func close() {
        kill()
        host.close()
    }

    /// Gives the devices their addresses and takes them up.
    func address() throws {
        try host.ip(
            """
            link set lan0 up
            link set wan0 up
            addr add 10.1.0.1/24 dev lan0
            addr add fd00:1::1/64 dev lan0 nodad
            addr add 10.2.0.1/24 dev wan0
            addr add fd00:2::1/64 dev wan0 nodad
            """)
        try addressSync()
    }

    /// The same for the sync device alone.
    package func addressSync() throws {
        try host.ip(
            """
            link set sync0 up
            addr add \(Plan.sync(id))/24 dev sync0
            addr add \(Plan.sync(id, ipv6: true))/64 dev sync0 nodad
            """)
    }

    func configure(
        _ translation: AddressTranslation, _ settings: KeyValuePairs<String, Int>
    ) throws {
        try host.set([
            "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
            "net.netfilter.nf_conntrack_tcp_loose": 0,
            "net.netfilter.nf_conntrack_tcp_be_liberal": 0,
        ])
        // Its two outside ports are plugged one after the other: what it asks through the one that
        // is still out is asked again soon, not after a second.
        for kind in ["ipv4", "ipv6"] {
            try host.set([
                "net.\(kind).neigh.lan0.retrans_time_ms": 20,
                "net.\(kind).neigh.wan0.retrans_time_ms": 20,
            ])
        }
        try host.set(settings)
        try host.nft(Self.rules(translation))
    }

    /// Only what is known passes; TCP becomes known by a SYN, everything from the lan side.
    private static func rules(_ translation: AddressTranslation) -> String {
        let source =
            switch translation {
            case .masquerade: "oifname wan0 masquerade"
            case .masqueradeFullyRandom: "oifname wan0 masquerade fully-random"
            case .none, .destination: ""
            }
        let (port, service) = (Plan.translatedPort, Plan.serverPort)
        let destination =
            translation == .destination
            ? """
            iifname lan0 meta nfproto ipv4 tcp dport \(port) dnat ip to 10.2.0.2:\(service)
            iifname lan0 meta nfproto ipv6 tcp dport \(port) dnat ip6 to [fd00:2::2]:\(service)
            """ : ""
        return """
            table inet filter {
                counter invalid { }
                chain invalid {
                    type filter hook prerouting priority -150;
                    ct state invalid counter name invalid drop
                }
                chain input {
                    type filter hook input priority 0;
                    iifname wan0 ct state new meta l4proto tcp drop
                    iifname wan0 ct state new udp dport != 4789 drop
                }
                chain forward {
                    type filter hook forward priority 0; policy drop;
                    ct state established,related accept
                    iifname lan0 ct state new meta l4proto tcp tcp flags & (fin|syn|rst|ack) != syn drop
                    iifname lan0 ct state new accept
                }
                chain prerouting {
                    type nat hook prerouting priority -100;
                    \(destination)
                }
                chain postrouting {
                    type nat hook postrouting priority 100;
                    \(source)
                }
            }
            """
    }

    /// Takes lan0, wan0 and sync0 down.
    package func linksDown() throws {
        try host.ip("link set sync0 down\nlink set lan0 down\nlink set wan0 down")
    }

    /// Takes them up again.
    package func linksUp() throws {
        try host.ip("link set sync0 up\nlink set lan0 up\nlink set wan0 up")
    }

    /// Loses a share of what arrives on the sync link; 0 ends that.
    package func loseArriving(percent: Int) throws {
        if percent == 0 { return try host.nft("delete table netdev loss") }
        let share = percent < 100 ? "numgen random mod 100 < \(percent)" : ""
        try host.nft(
            """
            table netdev loss {
                chain arriving {
                    type filter hook ingress device sync0 priority 0;
                    \(share) drop
                }
            }
            """)
    }

    /// Forgets all connections but those of nobody: what a reboot leaves.
    package func flush() throws {
        try host.run(["conntrack", "-F"])
    }

    // MARK: The daemon

    /// The daemon that was started last and not killed.
    package var daemon: Daemon? { current.withLock { $0 } }

    /// The flags of this node.
    package func flags(role: NodeRole) -> [String] {
        [
            "--syncdev", "sync0", "--state", role == .master ? "1" : "0", "--id", "\(id)",
            "--l2drop", "0", "--control-file", controlFile,
        ]
    }

    /// Starts the daemon and waits until its control file says its role.
    ///
    /// - Parameter binary: another one than the one under test.
    package func start(
        role: NodeRole, _ extra: [String] = [], through prefix: [String] = [],
        binary: String? = nil
    ) throws {
        try start(
            words: flags(role: role) + extra, role: role, through: prefix, binary: binary)
    }

    /// The same with a command line of one's own, which must give it this role.
    package func start(
        words: [String], role: NodeRole, through prefix: [String] = [], binary: String? = nil
    ) throws {
        let daemon = try Daemon(
            arguments: words, through: prefix, binary: binary, in: host, logFile: logFile)
        current.withLock { $0 = daemon }
        try eventually("\(name) running as \(role)", detail: { log }) {
            try checkDaemon()
            // The file of a killed daemon is still there: ask the new one.
            return try self.status()?.role == role
        }
    }

    /// Starts `ct_sync exporter` beside its daemon; who does ends it.
    package func startExporter(logsIn directory: String) throws -> ChildProcess {
        try ChildProcess(
            host.words([try Daemon.binary(), "exporter", "--control-file", controlFile]),
            logFile: "\(directory)/exporter-\(name).log")
    }

    /// Throws where the daemon has ended by itself.
    func checkDaemon() throws {
        if let status = daemon?.status { throw DaemonEnded(name: name, status: status, log) }
    }

    /// kill -9.
    package func kill() {
        let daemon = current.withLock { $0.take() }
        daemon?.signal(SIGKILL)
        _ = try? daemon?.waitForEnd(within: 5)
    }

    /// SIGTERM; gives the exit status.
    ///
    /// - Throws: `NeverHappened` where it does not end in time.
    @discardableResult
    package func stop(within seconds: Double = 10) throws -> Int32 {
        guard let daemon = current.withLock({ $0.take() }) else { return 0 }
        daemon.signal(SIGTERM)
        return try daemon.waitForEnd(within: seconds)
    }

    /// What the daemons of this node have logged.
    package var log: String {
        (try? String(contentsOfFile: logFile, encoding: .utf8)) ?? ""
    }

    /// Writes the control file in place, as `echo` does.
    package func write(_ text: String) throws {
        let descriptor = open(controlFile, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard descriptor >= 0 else { throw CallFailed("open \(controlFile)") }
        defer { Glibc.close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw CallFailed("write \(controlFile)")
        }
    }

    /// Moves a new file over the control file.
    package func replace(_ text: String) throws {
        let new = controlFile + ".new"
        try text.write(toFile: new, atomically: false, encoding: .utf8)
        guard rename(new, controlFile) == 0 else { throw CallFailed("rename \(new)") }
    }

    /// What the control file says, without its newline.
    package func read() throws -> String {
        // A blocking open, as a shell's: one that does not block may fail while the daemon looks.
        let descriptor = open(controlFile, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CallFailed("open \(controlFile)") }
        defer { Glibc.close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw CallFailed("read \(controlFile)") }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
            .trimmingCharacters(in: .newlines)
    }

    /// Waits until control file and status say a role.
    package func waitForRole(_ role: NodeRole, within seconds: Double = 10) throws {
        try eventually(
            "\(name) is \(role)", within: seconds, every: 0.002, detail: { statusLine }
        ) {
            try checkDaemon()
            return try read() == role.rawValue && status()?.role == role
        }
    }

    /// What `ct_sync status` prints and how it ends.
    package func statusCommand(json: Bool = true) throws -> CommandResult {
        try command(["status"] + (json ? ["--json"] : []))
    }

    /// A client command to this firewall's daemon, such as `promote`.
    package func command(_ words: [String]) throws -> CommandResult {
        try Command.result(of: [try Daemon.binary()] + words + ["--control-file", controlFile])
    }

    /// The status of the daemon; nil where none answers.
    package func status() throws -> DaemonStatus? {
        let result = try statusCommand()
        return try DaemonStatus(result)
    }

    /// The status in one line, for failures.
    package var statusLine: String {
        guard let result = try? statusCommand() else { return "no status" }
        return result.output + result.errors
    }

    // MARK: The table

    /// The connections of its table; those of the sync link and of the node itself left out.
    package func table(ipv6: Bool? = nil) throws -> [TableEntry] {
        let families = ipv6.map { [$0] } ?? [false, true]
        return try host.inside {
            try families.flatMap { try TableEntry.dump(ipv6: $0) }.filter { !$0.isLocal }.sorted()
        }
    }

    /// Waits until its table and another's are the same, entry by entry.
    package func waitForEqualTable(
        to other: Firewall, atLeast number: Int = 1, within seconds: Double = 15
    ) throws {
        let last = Box(Mutex("never looked"))
        try eventually(
            "the tables of \(name) and \(other.name) agree", within: seconds, every: 0.05,
            detail: { last.value.withLock { $0 } }
        ) {
            let (mine, theirs) = (try table(), try other.table())
            let difference = TableDifference(mine, theirs)
            last.value.withLock { $0 = "\(mine.count) and \(theirs.count): \(difference)" }
            return difference.isEmpty && mine.count >= number
        }
    }

    /// Waits until nothing of what only one of two nodes has is on one only any more. Connections may begin and
    /// end meanwhile: only those of the first look are meant.
    package func waitForNothingAlone(
        beside other: Firewall, within seconds: Double = 15
    ) throws {
        let alone = Box(Mutex<Set<String>?>(nil))
        try eventually(
            "what only \(name) or \(other.name) has is on both, or on none", within: seconds,
            every: 0.2, detail: { "\(alone.value.withLock { $0?.count ?? 0 }) are not" }
        ) {
            let (mine, theirs) = (try table().map(\.key), try other.table().map(\.key))
            let now = Set(mine).symmetricDifference(theirs)
            return alone.value.withLock { left in
                left = left?.intersection(now) ?? now
                return left?.isEmpty ?? true
            }
        }
    }

    /// How many packets its rules have dropped as invalid.
    package func invalidPackets() throws -> Int {
        try packets(countedBy: "invalid", in: "inet filter")
    }

    /// How many packets a named counter of an nftables table has seen.
    package func packets(countedBy counter: String, in table: String) throws -> Int {
        let text = try host.run(["nft", "list", "counter"] + table.words + [counter])
        let words = text.words
        guard let place = words.firstIndex(of: "packets") else { return 0 }
        return Int(words[words.index(after: place)]) ?? 0
    }

    /// The names of its nftables tables.
    package func nftTables() throws -> [String] {
        try host.run(["nft", "list", "tables"]).split(separator: "\n").map { String($0) }
    }
}

/// A daemon that ended by itself.
package struct DaemonEnded: Error, CustomStringConvertible {
    package let description: String

    init(name: String, status: Int32, _ log: String) {
        description = "\(name): ct_sync ended with status \(status)\n\(log)"
    }
}

extension String {
    fileprivate var words: [String] { split(whereSeparator: \.isWhitespace).map { String($0) } }
}
