// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

/// The configuration and key file of each node of a cluster; the directory goes with the cluster.
struct KeyFiles {
    let cluster: Cluster

    /// A key that is 32 times the same byte.
    static func key(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return String(repeating: digits.count == 1 ? "0" + digits : digits, count: 32)
    }

    func path(_ node: Firewall) -> String { "\(cluster.directory)/\(node.name).key" }
    func configuration(_ node: Firewall) -> String { "\(cluster.directory)/\(node.name).conf" }

    /// Writes a node's key file, only for its owner, and the settings that name it; none for no key.
    func write(_ keys: [UInt8], _ mode: String = "strict", for node: Firewall) throws {
        let lines = keys.map { Self.key($0) + "\n" }.joined()
        try lines.write(toFile: path(node), atomically: false, encoding: .utf8)
        #expect(chmod(path(node), 0o600) == 0)
        let settings =
            keys.isEmpty ? "# none\n" : "options ct_sync key-file=\(path(node)) key-mode=\(mode)\n"
        try settings.write(toFile: configuration(node), atomically: false, encoding: .utf8)
    }

    /// Starts a node with what was written for it.
    func start(_ node: Firewall, _ role: NodeRole) throws {
        try node.start(role: role, ["--config", configuration(node)])
    }

    /// Writes it for all nodes of a pair and starts them, the first as master.
    func startPair(_ keys: [UInt8]) throws {
        for node in cluster.firewalls.prefix(2) {
            try write(keys, for: node)
            try start(node, node.id == 1 ? .master : .slave)
        }
        try cluster.waitInSync()
    }

    /// Has a node read what was written since.
    func rekey(_ node: Firewall) throws {
        let result = try node.command(["rekey"])
        #expect(result.status == 0, "\(result.output)\(result.errors)")
    }
}

extension Firewall {
    /// The status as JSON has it; a busy daemon may answer at the second time.
    func values() throws -> [String: Any] {
        var values: [String: Any]?
        var last = ""
        try eventually("\(name) says how it is", detail: { last }) {
            let result = try statusCommand()
            last = result.output + result.errors
            let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
            values = object as? [String: Any]
            return values != nil
        }
        return try #require(values)
    }

    /// A number of one of its groups.
    func count(_ key: String, in group: String = "counters") throws -> Int {
        let values = try #require(try values()[group] as? [String: Any])
        return try #require(values[key] as? NSNumber, "\(key)").intValue
    }

    /// What it says of those who speak in another way.
    func strangers() throws -> [String] {
        let seal = try #require(try values()["seal"] as? [String: Any])
        let list = try #require(seal["strangers"] as? [[String: Any]])
        return list.compactMap { $0["trouble"] as? String }
    }

    /// Whether packets for all nodes are sealed.
    func sealsToAll() throws -> Bool {
        let seal = try #require(try values()["seal"] as? [String: Any])
        return try #require(seal["seals_to_all"] as? Bool)
    }

    /// Packets dropped for this reason.
    func bad(_ reason: String) throws -> Int {
        let list = try #require(try values()["dropped"] as? [[String: Any]])
        let line = try #require(list.first { $0["reason"] as? String == reason }, "\(reason)")
        return try #require(line["count"] as? NSNumber).intValue
    }
}
