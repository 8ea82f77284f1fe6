// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// The command line of the daemon; `main` also finds the client's.
@main
struct CTSyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync",
        abstract: "Replicates a firewall's tracked connections to its standbys.",
        usage: """
            ct_sync --syncdev DEVICE --id NUMBER [--state master|slave] [options]
            ct_sync syncdev=DEVICE id=NUMBER [state=1|0] [name=value ...]
            ct_sync status [--control-file PATH] [--json]
            ct_sync l2drop status|off
            ct_sync promote|demote [--control-file PATH] [--wait] [--timeout SECONDS]
            ct_sync dump [--json] [--expect] [criteria]
            ct_sync flush [--yes] | resync | initsync-rate [NUMBER]
            ct_sync import-conntrackd [FILE]
            """,
        discussion: """
            Runs in the foreground until SIGTERM. The cluster manager writes master or slave to \
            the control file to change the role, and reads the role from it. ct_sync status shows \
            the state of a running daemon.
            """,
        version: CTSyncVersionLine)

    @OptionGroup var settings: SettingFlags

    /// Leaves the exit status to `main`.
    func run() throws {
        throw ExitCode(try RunCommand(configuration: settings.configuration()).run())
    }

    /// Runs what the arguments ask for; a mistake is one sentence on standard error.
    ///
    /// The client's commands are no subcommands to the argument parser, which would take their names
    /// for a name=value.
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let name = "ct_sync \(arguments.first ?? "")"
        let client = clients.first { $0.configuration.commandName == name }
        if let client {
            run(client, Array(arguments.dropFirst()))
        } else {
            run(CTSyncCommand.self, Array(arguments))
        }
    }

    private static let clients: [any ParsableCommand.Type] = [
        StatusCommand.self, PromoteCommand.self, DemoteCommand.self,
        L2DropCommand.self, DumpCommand.self,
        FlushCommand.self, ResyncCommand.self, InitsyncRateCommand.self,
        ImportConntrackdCommand.self,
    ]

    private static func run(_ kind: any ParsableCommand.Type, _ arguments: [String]) {
        do {
            var command = try kind.parseAsRoot(arguments)
            try command.run()
        } catch let error as ConfigurationError {
            fail(error.sentence, error.exitStatus)
        } catch {
            let status = kind.exitCode(for: error).rawValue
            if error is ExitCode { Glibc.exit(status) }
            // --help, --version and what only prints.
            if status == 0 { kind.exit(withError: error) }
            fail(kind.message(for: error), status)
        }
    }

    private static func fail(_ sentence: String, _ status: Int32) -> Never {
        let line = Array("ct_sync: \(sentence.prefix { !$0.isNewline })\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        Glibc.exit(status)
    }
}
