// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Synchronization
import Testing

@testable import CTSync

extension ClusterTests {
    /// What `ct_sync promote` and `demote` say is so.
    @Suite struct RoleCommandTests {
        /// A daemon that answers the order and is then too busy for anything else.
        private final class BusyDaemon: Sendable {
            let controlFile: String
            private let isEnding = Box(Atomic(false))
            private let thread: Background

            init(in directory: String, saying lines: [ControlLine]) throws {
                let controlFile = "\(directory)/busy"
                self.controlFile = controlFile
                let isEnding = isEnding
                let socket = Box(Mutex(try ControlSocket(controlFile: controlFile)))
                thread = Background(named: "cts_busy") {
                    var isBusy = false
                    while !isEnding.value.load(ordering: .relaxed) {
                        usleep(2_000)
                        guard !isBusy else { continue }
                        socket.value.withLock { socket in
                            socket.serve { request in
                                isBusy = request.verb == .set
                                return ControlReply(lines)
                            }
                        }
                    }
                }
            }

            func end() {
                isEnding.value.store(true, ordering: .relaxed)
                thread.join()
                unlink(controlFile + ".sock")
            }
        }

        @Test func whatTheDaemonHasDoneIsDone() throws {
            let directory = NSTemporaryDirectory() + Namespace.nextRun()
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            for reason in ["", "the node is still dark"] {
                let daemon = try BusyDaemon(
                    in: directory,
                    saying: [
                        ControlLine("role", "master"),
                        ControlLine("l2drop_error", "\"\(reason)\""),
                    ])
                defer { daemon.end() }
                let result = try Command.result(
                    of: [
                        try Daemon.binary(), "promote", "--control-file", daemon.controlFile,
                        "--timeout", "4",
                    ], deadline: 15)
                #expect(result.status == (reason.isEmpty ? 0 : 1), "\(result)")
                #expect(!result.errors.contains("not changed"), "\(result)")
                #expect(reason.isEmpty || result.errors.contains("it is master, but \(reason)"))
            }
        }

        /// No answer is no refusal: a slow daemon may obey later.
        @Test func anOrderWithoutAnAnswerIsNotCalledRefused() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                try node.start(role: .slave)
                let daemon = try #require(node.daemon)
                daemon.signal(SIGSTOP)
                let began = Stopwatch.seconds()
                let result = try node.command(["promote", "--timeout", "1", "--wait"])
                daemon.signal(SIGCONT)
                #expect(result.status == 1 && Stopwatch.seconds() - began < 3)
                #expect(
                    result.errors.contains("whether it becomes master is not known"), "\(result)")
                #expect(!result.errors.contains("not changed"))
            }
        }

        /// A node that boots is dark before its daemon runs, which then takes that over.
        @Test func aNodeIsDarkBeforeItsDaemon() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let file = "\(cluster.directory)/ct_sync.conf"
                let frames = try cluster.frames(of: node, into: "lan")
                let on = { (settings: String) throws in
                    try
                        "options ct_sync syncdev=sync0 id=1 control_file=\(node.controlFile) \(settings)\n"
                        .write(toFile: file, atomically: true, encoding: .utf8)
                    return try Command.result(
                        of: node.host.words([
                            try Daemon.binary(), "l2drop", "on", "--config", file,
                        ]), deadline: 15)
                }
                for settings in ["l2drop=0", "l2drop=1 state=1"] {
                    let result = try on(settings)
                    #expect(result.status == 0 && result.output.contains("left as it is"))
                    #expect(try !isDark(node), "\(settings)")
                }
                #expect(try on("l2drop=2").status == 78)
                let result = try on("l2drop=1")
                #expect(result.status == 0 && result.output == "l2drop is on\n", "\(result)")
                #expect(try isDark(node))
                #expect(try on("l2drop=1").status == 0, "once more")
                let echo = try echoes(cluster)
                defer { echo.stop() }
                _ = frames.take()
                // Dark without a gap while the daemon takes it over, and dark where that is killed.
                try node.start(role: .slave, ["--l2drop", "1"])
                #expect(node.log.contains("l2drop is on, as the last daemon left it"))
                #expect(try on("l2drop=1").output.contains("another ct_sync"), "a daemon runs")
                node.kill()
                #expect(try isDark(node))
                #expect(frames.take() == 0)
                #expect(try console(node, "off").status == 0)
                try echo.expectReplies()
            }
        }
    }
}
