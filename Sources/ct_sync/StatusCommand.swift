// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync status`: asks the daemon how it is.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync status",
        abstract: "Shows the state of the running daemon.",
        discussion: """
            The verdict first, then what is not as it should be with a command to type next, then \
            the nodes. The fields of --json and --field are in ct_sync-status(5). Exit status 0: \
            well (a slave is in sync and could take over, a master has a slave that could); 1: not \
            well; 2: no daemon there; 3: no answer in time; 77: not allowed.
            """)

    @OptionGroup var source: StatusSource

    @Flag(help: "Shows it as JSON.")
    var json = false

    @Flag(name: .shortAndLong, help: "Shows the counters too.")
    var verbose = false

    @Option(
        help: ArgumentHelp(
            "Shows this field of the JSON alone, such as role or link.packets_in.",
            valueName: "name"))
    var field: String?

    func run() throws {
        let report = try source.report()
        if let field {
            guard let value = report.value(at: field) else {
                throw ValidationError(
                    "there is no field \"\(field)\"; ct_sync status --json shows all")
            }
            print(StatusReport.plain(value))
        } else if json {
            print(report.json, terminator: "")
        } else {
            let hasColor = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
            print(
                StatusText(report, isVerbose: verbose, hasColor: hasColor).text, terminator: "")
        }
        throw ExitCode(report["well"] == .flag(true) ? 0 : 1)
    }
}

/// Where a status comes from, and the exit status if it does not.
struct StatusSource: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    /// Asks the daemon; ends the program if it does not answer.
    func report() throws -> StatusReport {
        do throws(SystemError) {
            let lines = try ControlClient.request(
                controlFile: controlFile, [ControlLine("get", "status")])
            guard let report = StatusReport.parse(lines) else {
                throw SystemError("the daemon's answer", errno: EPROTO)
            }
            return report
        } catch {
            throw Self.end(error, controlFile)
        }
    }

    /// Says why there is no answer; returns the exit status as an error.
    static func end(
        _ error: SystemError, _ controlFile: String, isSaid: Bool = true
    ) -> ExitCode {
        let (status, reason) = exitStatus(error)
        guard isSaid || status != 2 else { return ExitCode(status) }
        let sentence = "ct_sync: \(reason) beside \(controlFile): \(error)\n"
        _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
        return ExitCode(status)
    }

    private static func exitStatus(_ error: SystemError) -> (Int32, String) {
        switch error.errno {
        case ENOENT, ECONNREFUSED, ENOTDIR: (2, "no daemon answers")
        case EACCES, EPERM: (77, "you may not ask the daemon")
        default: (3, "the daemon has not answered in time")
        }
    }
}
