// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync status`: asks the daemon how it is.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync status",
        abstract: "Shows the state of the running daemon.",
        discussion: "Exit status 0: in sync; 1: not in sync; 2: no daemon there.")
    /// Exit status: no daemon answers beside the control file.
    private static let noDaemon: Int32 = 2

    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    @Flag(help: "Shows it as JSON.")
    var json = false

    func run() throws {
        let report: StatusReport
        do throws(SystemError) {
            let lines = try ControlClient.request(
                controlFile: controlFile, [ControlLine("get", "status")])
            guard let parsed = StatusReport.parse(lines) else {
                throw SystemError("the daemon's answer", errno: EPROTO)
            }
            report = parsed
        } catch {
            let sentence = "ct_sync: no daemon answers beside \(controlFile): \(error)\n"
            _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
            throw ExitCode(StatusCommand.noDaemon)
        }
        print(json ? report.json : report.text, terminator: "")
        throw ExitCode(report["in_sync"] == .flag(true) ? 0 : 1)
    }
}
