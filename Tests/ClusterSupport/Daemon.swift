// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
package import Glibc

/// A ct_sync that runs in a namespace, its log in a file.
package final class Daemon: Sendable {
    private let child: ChildProcess

    /// Starts it; the log is appended to.
    ///
    /// - Parameters:
    ///   - prefix: words that start it, such as those of env(1).
    ///   - binary: another one than the one under test.
    package init(
        arguments: [String], through prefix: [String] = [], binary: String? = nil,
        in host: Namespace, logFile: String
    ) throws {
        child = try ChildProcess(
            host.words(prefix + [try binary ?? Self.binary()] + arguments), logFile: logFile)
    }

    /// Its process: `ip netns exec` becomes the program it starts.
    package var pid: pid_t { child.pid }

    /// Its exit status; nil while it runs.
    package var status: Int32? { child.status }

    /// Sends it a signal.
    package func signal(_ number: CInt) { child.kill(number) }

    /// Waits for its end and gives its exit status.
    @discardableResult
    package func waitForEnd(within seconds: Double) throws -> Int32 {
        try child.waitForEnd(within: seconds)
    }

    /// The binary under test: CT_SYNC_BINARY, or the one built beside this program.
    ///
    /// - Throws: `BinaryMissing`; a test that cannot find it fails.
    package static func binary() throws -> String {
        var places: [String] = []
        if let named = ProcessInfo.processInfo.environment["CT_SYNC_BINARY"] {
            places = [named]
        } else {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let directory = URL(fileURLWithPath: own).deletingLastPathComponent()
            places = [directory.appendingPathComponent("ct_sync").path, ".build/release/ct_sync"]
        }
        guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
            throw BinaryMissing(places: places)
        }
        return found
    }
}

/// No ct_sync to test.
package struct BinaryMissing: Error, CustomStringConvertible {
    let places: [String]
    package var description: String { "no ct_sync at \(places.joined(separator: ", "))" }
}

/// What `ct_sync status --json` says.
package struct DaemonStatus: Sendable {
    package let role: NodeRole
    package let epoch: UInt64
    package let isInSync: Bool
    /// Whether the exit status is 0.
    package let isWell: Bool
    /// The first line, without the node's name.
    package let verdict: String
    /// Why it is not well, as a word.
    package let reason: String?
    /// Of a master: how many slaves could take over now.
    package let readySlaves: Int
    package let entriesHeld: Int
    /// What its last promotion took.
    package let promotionMicroseconds: Int
    /// The whole of it.
    package let text: String

    /// Reads the output of the command; nil where no daemon answered.
    init?(_ result: CommandResult) throws {
        guard result.status == 0 || result.status == 1 else { return nil }
        let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        guard let values = object as? [String: Any],
            let role = (values["role"] as? String).flatMap({ NodeRole(rawValue: $0) }),
            let epoch = values["epoch"] as? NSNumber,
            let entries = values["entries"] as? [String: Any],
            let held = entries["held"] as? NSNumber,
            let isWell = values["well"] as? Bool
        else { throw NeverHappened("a status with all its keys", within: 0, last: result.output) }
        self.role = role
        self.epoch = epoch.uint64Value
        // Of a master it is not said.
        isInSync = values["in_sync"] as? Bool ?? true
        self.isWell = isWell
        verdict = values["verdict"] as? String ?? ""
        reason = values["reason"] as? String
        readySlaves = (values["ready_slaves"] as? NSNumber)?.intValue ?? 0
        entriesHeld = held.intValue
        let promotion = values["promotion_seconds"] as? NSNumber
        promotionMicroseconds = promotion.map { Int(($0.doubleValue * 1e6).rounded()) } ?? 0
        text = result.output
    }

    /// The first number of this key; of those behind the name of a group, if one is given.
    package func number(_ key: String, of group: String? = nil) -> Int? {
        var rest = text[...]
        if let group {
            guard let place = rest.range(of: "\"\(group)\":") else { return nil }
            rest = rest[place.upperBound...]
        }
        guard let place = rest.range(of: "\"\(key)\": ") else { return nil }
        return Int(rest[place.upperBound...].prefix { $0.isNumber })
    }
}
