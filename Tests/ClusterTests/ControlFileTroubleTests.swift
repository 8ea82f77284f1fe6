// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// What may stand where the control file belongs.
enum OddFile: String, CaseIterable, Sendable {
    case directory, pipe, linkToItself, linkToNothing

    func put(at path: String) throws {
        switch self {
        case .directory: try made(mkdir(path, 0o755))
        case .pipe: try made(mkfifo(path, 0o644))
        case .linkToItself: try made(symlink(path, path))
        case .linkToNothing: try made(symlink("/nonexistent/state", path))
        }
    }

    private func made(_ result: CInt) throws {
        if result != 0 { throw CallFailed("make a \(rawValue)") }
    }
}

extension ClusterTests {
    /// No trouble with the control file costs a daemon its process or its role.
    @Suite struct ControlFileTroubleTests {
        @Test(arguments: OddFile.allCases, [NodeRole.master, .slave])
        func anOddFileIsOutlived(_ odd: OddFile, _ role: NodeRole) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: role)
                let daemon = try #require(node.daemon)
                // At one blow, or the daemon makes the file anew before the odd one is there.
                let aside = node.controlFile + ".odd"
                daemon.signal(SIGSTOP)
                unlink(node.controlFile)
                try odd.put(at: node.controlFile)
                daemon.signal(SIGCONT)
                let before = try processorSeconds(daemon.pid)
                pause(1)
                #expect(daemon.status == nil, "\(node.log)")
                #expect(try processorSeconds(daemon.pid) - before < 0.3)
                #expect(try node.status()?.role == role)
                let words = node.log.split(separator: "\n").filter { $0.contains("control file") }
                #expect(words.count == 1, "\(node.log)")
                // The socket still gives a role.
                let other: NodeRole = role == .master ? .slave : .master
                let order = try node.command([other == .master ? "promote" : "demote"])
                #expect(order.status == 0, "\(order)")
                #expect(try node.status()?.role == other)
                // And so does the file, once it is right.
                #expect(rename(node.controlFile, aside) == 0)
                try eventually("the control file again", within: 5) {
                    try access(node.controlFile, F_OK) == 0 && node.read() == other.rawValue
                }
                try node.write(role == .master ? "1\n" : "0\n")
                try node.waitForRole(role)
                #expect(try node.stop() == 0)
            }
        }

        /// The file system of the control file is full, and the file has lost its page.
        @Test(arguments: [NodeRole.master, .slave])
        func aFullFileSystemIsOutlived(_ role: NodeRole) throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let directory = URL(fileURLWithPath: node.controlFile).deletingLastPathComponent()
                    .path
                try Command.run(["mkdir", "-p", directory])
                let options = "size=64k,mode=0755"
                try Command.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory])
                defer {
                    node.daemon?.signal(SIGKILL)
                    _ = try? Command.run(["umount", "-l", directory])
                }
                try node.start(role: role)
                let daemon = try #require(node.daemon)
                daemon.signal(SIGSTOP)
                try Command.run(["truncate", "-s", "0", node.controlFile])
                _ = try Command.result(of: ["dd", "if=/dev/zero", "of=\(directory)/full", "bs=4k"])
                daemon.signal(SIGCONT)
                let before = try processorSeconds(daemon.pid)
                pause(1)
                #expect(daemon.status == nil, "\(node.log)")
                #expect(try processorSeconds(daemon.pid) - before < 0.3)
                let other: NodeRole = role == .master ? .slave : .master
                let order = try node.command([other == .master ? "promote" : "demote"])
                #expect(order.status == 0, "\(order)")
                #expect(try node.status()?.role == other)
                let words = node.log.split(separator: "\n").filter {
                    $0.contains("No space") && $0.contains("control file")
                }
                #expect(words.count == 1, "\(node.log)")
                unlink("\(directory)/full")
                try node.waitForRole(other)
                try node.write(role == .master ? "1\n" : "0\n")
                try node.waitForRole(role)
                #expect(try node.stop() == 0)
            }
        }

        /// The processor time that a process has had.
        private func processorSeconds(_ pid: pid_t) throws -> Double {
            let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...]
                .split(separator: " ")
            let ticks = try #require(fields.count > 13 ? Double(fields[12]) : nil)
            let system = try #require(Double(fields[13]))
            return (ticks + system) / Double(sysconf(CInt(_SC_CLK_TCK)))
        }
    }
}
