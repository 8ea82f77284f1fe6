// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync rehearse`: a promotion without its claim and its opening.
struct RehearseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync rehearse",
        abstract: "Rehearses a promotion on a slave, without taking the role.",
        discussion: """
            It applies what has arrived, writes the file of the epoch as it is, makes the sockets \
            and threads of a master, builds the frames for the neighbours, looks for the rules of \
            l2drop and walks the table, and times each step. Nothing is claimed, sent or opened, and no \
            entry is changed. Then it shows what the new master would lack. Exit status 0: a \
            takeover now would be whole; 1: it would fail or lack something, or this node is \
            master; 2: no daemon there; 77: not allowed.
            """)

    @OptionGroup var daemon: DaemonRequest

    @Flag(help: "Shows it as JSON.")
    var json = false

    func run() throws {
        var lines: [ControlLine] = []
        let status = daemon.run([ControlLine("set", "rehearse")]) { lines.append($0) }
        guard status == 0 else { throw ExitCode(status) }
        guard let report = StatusReport.parse(lines.filter { $0.key != "walked" }) else {
            throw ConfigurationError("the daemon's answer is not understood", at: .commandLine)
        }
        print(json ? report.json : RehearsalText(report).text, terminator: "")
        throw ExitCode(report["ready"] == .flag(true) ? 0 : 1)
    }
}
