// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// Whether the cluster manager of this machine would call us, and has its addresses where they belong:
/// keepalived's and Pacemaker's own files are read, as far as the user may.
///
/// A part of `ct_sync check` that the client does: the daemon may not read these files.
package struct ManagerCheck {
    /// One thing that was looked at: the exit status of a monitoring plugin, a name, a sentence, a
    /// command to type next.
    package typealias Item = (level: Int32, name: String, text: String, remedy: String)

    /// How this node is.
    package struct Node {
        var isMaster: Bool
        /// Whether l2drop is used: the addresses are on both nodes.
        var usesDarkness: Bool
        var addresses: [HostAddress]

        init(isMaster: Bool, usesDarkness: Bool, addresses: [HostAddress]) {
            self.isMaster = isMaster
            self.usesDarkness = usesDarkness
            self.addresses = addresses
        }

        private static func syncDevices(_ status: StatusReport) -> [String] {
            guard case .list(let links) = status["links"] else { return [] }
            return links.map { $0.words(at: "device") }
        }

        /// This machine, by the daemon's status.
        package init(_ status: StatusReport) {
            isMaster = status["role"] == .text(Role.master.description)
            usesDarkness = !status.words(at: "l2drop_backend").isEmpty
            do throws(SystemError) {
                addresses = try InterfaceAddress.hosts(except: Self.syncDevices(status))
            } catch {
                addresses = []
            }
        }
    }

    /// What was found, in order.
    package private(set) var items: [Item] = []
    private let node: Node
    private let root: String
    private let processes: Set<String>

    /// Looks.
    package init(_ node: Node) {
        self.init(node, root: "", processes: Self.running())
    }

    /// - Parameters:
    ///   - root: the directory in whose etc and var the files are.
    ///   - processes: the names of those that run.
    init(_ node: Node, root: String, processes: Set<String>) {
        self.node = node
        self.root = root
        self.processes = processes
        let keepalived = look("/etc/keepalived/keepalived.conf") { $0.lookAtKeepalived($1) }
        let pacemaker = look("/var/lib/pacemaker/cib/cib.xml") { $0.lookAtPacemaker($1) }
        if !keepalived, !pacemaker {
            let text = "neither keepalived nor Pacemaker is set up here; what orders the roles?"
            items.append((0, "manager", text, ""))
        }
    }

    /// Reads a manager's file; whether there is one.
    private mutating func look(_ path: String, _ body: (Self, String) -> [Item]) -> Bool {
        do throws(SystemError) {
            items += body(self, try TextFile.read(root + path, limit: 1 << 24))
            return true
        } catch {
            guard error.errno == EACCES || error.errno == EPERM else { return false }
            items.append((0, "manager", "\(path) is not for this user to read: not looked at", ""))
            return true
        }
    }

    // MARK: keepalived

    private func lookAtKeepalived(_ text: String) -> [Item] {
        let text = KeepalivedText(text, directory: root + "/etc/keepalived") { path in
            Self.text(path.hasPrefix(root) ? path : root + path)
        }
        var items: [Item] = []
        if !processes.contains("keepalived") {
            items.append(
                (2, "keepalived", "is set up and does not run", "systemctl status keepalived"))
        }
        let lacking = ["master", "backup", "fault"].filter { !text.notifies($0) }
        let file = "/etc/keepalived/keepalived.conf"
        if lacking.isEmpty {
            items.append((0, "manager", "keepalived tells us MASTER, BACKUP and FAULT", ""))
        } else {
            let names = lacking.map { $0.uppercased() }.joined(separator: ", ")
            items.append(
                (
                    2, "manager", "keepalived does not tell us \(names)",
                    "notify \"/usr/lib/ct_sync/ct_sync-notify\"    in \(file)"
                ))
        }
        if !text.isWatched {
            items.append(
                (
                    1, "watch", "keepalived does not notice a daemon that is gone",
                    "script \"/usr/sbin/ct_sync-role check\"    in a vrrp_script of \(file)"
                ))
        }
        return items + addresses(text.addresses, "journalctl -u keepalived")
    }

    // MARK: Pacemaker

    private func lookAtPacemaker(_ text: String) -> [Item] {
        var items: [Item] = []
        if !processes.contains("pacemakerd") {
            items.append(
                (2, "pacemaker", "is set up and does not run", "systemctl status pacemaker"))
        }
        if text.contains("type=\"ct_sync\"") {
            items.append((0, "manager", "Pacemaker has a resource of ours", ""))
        } else {
            items.append(
                (
                    2, "manager", "Pacemaker has no resource of ours",
                    "crm configure show; /usr/share/doc/ct-sync/examples/ct_sync.crmsh"
                ))
        }
        let parts = text.components(between: "<nvpair", and: ">").filter {
            $0.contains("name=\"ip\"")
        }
        let found = parts.compactMap { part in
            part.components(between: "value=\"", and: "\"").first.flatMap { HostAddress(text: $0) }
        }
        return items + addresses(found, "crm_mon -1")
    }

    // MARK: Both

    private func addresses(_ managed: [HostAddress], _ remedy: String) -> [Item] {
        guard !managed.isEmpty else { return [] }
        let there = managed.filter(node.addresses.contains)
        if node.isMaster, there.count < managed.count {
            let lacking = managed.filter { !node.addresses.contains($0) }
            let names = lacking.map(\.description).joined(separator: ", ")
            return [(2, "addresses", "\(names) not on this master", remedy)]
        }
        if !node.isMaster, !there.isEmpty, !node.usesDarkness {
            let names = there.map(\.description).joined(separator: ", ")
            return [(2, "addresses", "\(names) on this node, which is slave", remedy)]
        }
        let place = node.isMaster ? "on this master" : "not on this slave"
        let count = Words.count(managed.count, "address", "addresses")
        return [(0, "addresses", "\(count) that the manager moves: \(place)", "")]
    }

    private static func text(_ path: String) -> String {
        do throws(SystemError) {
            return try TextFile.read(path, limit: 1 << 20)
        } catch {
            return ""
        }
    }

    /// The names of all processes that can be seen.
    private static func running() -> Set<String> {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var names: Set<String> = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.allSatisfy(\.isNumber) else { continue }
            names.insert(String(text("/proc/\(name)/comm").prefix { !$0.isNewline }))
        }
        return names
    }
}

extension String {
    /// The texts between two marks, from each first one to the next second one.
    func components(between first: String, and second: String) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let start = rest.firstRange(of: first) {
            rest = rest[start.upperBound...]
            guard let end = rest.firstRange(of: second) else { break }
            found.append(String(rest[..<end.lowerBound]))
            rest = rest[end.upperBound...]
        }
        return found
    }
}
