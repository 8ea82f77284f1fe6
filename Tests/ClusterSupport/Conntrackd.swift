// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// conntrackd on one firewall of a cluster: FT-FW over the sync link, as its example has it.
package struct Conntrackd {
    /// What its configuration differs in.
    package struct Settings {
        /// Whether entries go into the standby's kernel at once (DisableExternalCache).
        package var isDirect = false
        /// The section `Options` of `Sync`.
        package var options = ""
        /// Buckets of its caches, and the most entries.
        package var hash = (size: 32_768, limit: 131_072)
        /// Bytes of its netlink socket, and the most that they grow to.
        package var buffer = (size: 2_097_152, limit: 8_388_608)
        /// Where it filters: `Userspace` or `Kernelspace`.
        package var filtersFrom = "Userspace"
        /// The section `Protocol Accept` of its filter; all protocols if it is empty.
        package var protocols = ""

        /// Those of the example, for all protocols.
        package init() {}
    }

    /// Its configuration's file; those of its lock, its socket and its log have the same name and an
    /// ending.
    package let place: String
    private let node: Firewall

    /// Writes the configuration, and lets the firewall's kernel send events.
    package init(_ node: Firewall, of cluster: Cluster, _ settings: Settings = Settings()) throws {
        self.node = node
        place = "\(cluster.directory)/conntrackd-\(node.name)"
        try node.host.set(["net.netfilter.nf_conntrack_events": 1])
        try text(settings).write(toFile: place, atomically: false, encoding: .utf8)
    }

    /// Starts it; returns when it listens.
    package func start() throws -> ChildProcess {
        for file in [place + ".lock", place + ".ctl"] where access(file, F_OK) == 0 {
            try FileManager.default.removeItem(atPath: file)
        }
        let process = try ChildProcess(
            node.host.words(["conntrackd", "-C", place]), logFile: place + ".log")
        try eventually("conntrackd on \(node.name)") { access(place + ".ctl", F_OK) == 0 }
        return process
    }

    private func text(_ settings: Settings) -> String {
        """
        Sync {
            Mode FTFW { DisableExternalCache \(settings.isDirect ? "on" : "off") }
            Multicast {
                IPv4_address 225.0.0.50
                Group 3780
                IPv4_interface \(Plan.sync(node.id))
                Interface sync0
                SndSocketBuffer 1249280
                RcvSocketBuffer 1249280
                Checksum on
            }
            \(settings.options)
        }
        General {
            HashSize \(settings.hash.size)
            HashLimit \(settings.hash.limit)
            LogFile off
            LockFile \(place).lock
            UNIX { Path \(place).ctl }
            NetlinkBufferSize \(settings.buffer.size)
            NetlinkBufferSizeMaxGrowth \(settings.buffer.limit)
            Filter From \(settings.filtersFrom) {
                \(settings.protocols)
                Address Ignore {
                    IPv4_address 127.0.0.1
                    IPv4_address \(Plan.sync(1))
                    IPv4_address \(Plan.sync(2))
                }
            }
        }

        """
    }
}
