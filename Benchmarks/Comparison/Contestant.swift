// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc

/// What replicates the connections of the first firewall to the second.
enum Contestant: String, CaseIterable {
    case ctSync = "ct_sync"
    case conntrackd = "conntrackd"
    case conntrackdDirect = "conntrackd, no cache"

    /// Whether the standby's kernel has the entries before a takeover.
    var isDirect: Bool { self != .conntrackd }
}

/// A contestant's two processes on the firewalls of a cluster.
final class Contest {
    let cluster: Cluster
    private var processes: [ChildProcess] = []

    var master: Firewall { cluster.firewalls[0] }
    var standby: Firewall { cluster.firewalls[1] }

    /// - Parameters:
    ///   - translation: what the firewalls' rules do with addresses.
    ///   - settings: further sysctls of both.
    ///   - hasKey: whether ct_sync seals its packets.
    init(
        _ contestant: Contestant?, translation: AddressTranslation = .none,
        settings: KeyValuePairs<String, Int> = [:], hasKey: Bool = false
    ) throws {
        cluster = try Cluster(translation: translation, settings: settings)
        do {
            switch contestant {
            case nil: break
            case .ctSync: try cluster.startDaemons(hasKey ? try keyFlags() : [])
            case .conntrackd: try start(isDirect: false)
            case .conntrackdDirect: try start(isDirect: true)
            }
        } catch {
            close()
            throw error
        }
    }

    /// A key, and the flags that name it.
    private func keyFlags() throws -> [String] {
        let path = "\(cluster.directory)/key"
        try (String(repeating: "5a", count: 32) + "\n").write(
            toFile: path, atomically: false, encoding: .utf8)
        guard chmod(path, 0o600) == 0 else { throw CallFailed("chmod \(path)") }
        return ["--key-file", path]
    }

    /// The process ids, the master's first.
    var pids: [pid_t] {
        processes.isEmpty
            ? cluster.firewalls.compactMap { $0.daemon?.pid } : processes.map(\.pid)
    }

    func close() {
        for process in processes {
            process.kill(SIGTERM)
            do {
                try process.waitForEnd(within: 5)
            } catch {
                process.kill(SIGKILL)
            }
        }
        cluster.close()
    }

    /// conntrackd with room for the entries, for TCP and UDP.
    private func start(isDirect: Bool) throws {
        var settings = Conntrackd.Settings()
        settings.isDirect = isDirect
        settings.hash = (131_072, 1_048_576)
        settings.buffer = (8_388_608, 33_554_432)
        settings.filtersFrom = "Kernelspace"
        settings.protocols = "Protocol Accept { TCP UDP }"
        for node in cluster.firewalls {
            processes.append(try Conntrackd(node, of: cluster, settings).start())
        }
        // They greet each other.
        pause(2)
    }
}
