// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Glibc

/// What tcpdump has seen of the sync link at one node.
package final class LinkCapture {
    private let child: ChildProcess
    private let file: String

    /// Starts tcpdump on a firewall's sync device; returns when it captures.
    package init(at firewall: Firewall, in cluster: Cluster) throws {
        file = "\(cluster.directory)/\(firewall.name)-\(UUID().uuidString.prefix(8)).pcap"
        child = try ChildProcess(
            firewall.host.words([
                "tcpdump", "-i", "sync0", "-U", "--immediate-mode", "-n", "-Z", "root", "-w", file,
                "udp", "port", "3781",
            ]), logFile: file + ".log")
        let path = file
        try eventually("tcpdump captures") { Self.content(path).count >= 24 }
    }

    deinit {
        child.kill(SIGKILL)
        _ = try? child.waitForEnd(within: 5)
    }

    private static func content(_ path: String) -> [UInt8] {
        FileManager.default.contents(atPath: path).map { Array($0) } ?? []
    }

    /// Ends it and gives the datagrams, without their IP and UDP headers.
    package func stop() throws -> [[UInt8]] {
        // What came last is still being written; other signals may be blocked, as in this thread.
        pause(0.3)
        child.kill(SIGKILL)
        try child.waitForEnd(within: 10)
        return Self.datagrams(Self.content(file))
    }

    /// Of a file of libpcap, in this machine's byte order, link type Ethernet.
    private static func datagrams(_ bytes: [UInt8]) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var place = 24
        while place + 16 <= bytes.count {
            let length = (0..<4).reduce(0) { $0 | Int(bytes[place + 8 + $1]) << (8 * $1) }
            place += 16
            guard place + length <= bytes.count else { break }
            let frame = Array(bytes[place..<place + length])
            place += length
            guard frame.count > 14 else { continue }
            let headers = 14 + (frame[12] == 0x86 ? 40 : Int(frame[14] & 15) * 4) + 8
            if frame.count > headers { found.append(Array(frame[headers...])) }
        }
        return found
    }
}
