// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// The program: a command of the client if its first word names one, else the daemon.
@main
enum CTSyncCommand {
    /// The client's commands.
    private static let clients: [any ParsableCommand.Type] = [
        StatusCommand.self, PromoteCommand.self, DemoteCommand.self,
        L2DropCommand.self, DumpCommand.self,
        FlushCommand.self, ResyncCommand.self, InitsyncRateCommand.self,
        GenerateCommand.self,
    ]

    /// Does what the arguments ask for; a mistake is one sentence on standard error.
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let name = "ct_sync \(arguments.first ?? "")"
        if let client = clients.first(where: { $0.configuration.commandName == name }) {
            run(client, Array(arguments.dropFirst()))
        }
        do throws(ConfigurationError) {
            Glibc.exit(try runDaemon(Array(arguments)))
        } catch {
            fail(error.sentence, error.exitStatus)
        }
    }

    /// Returns the exit status, of the daemon after its end.
    private static func runDaemon(_ words: [String]) throws(ConfigurationError) -> Int32 {
        let arguments = try DaemonArguments(words)
        switch arguments.wish {
        case .help: print(Help.text, terminator: "")
        case .version: print("ct_sync \(CTSyncVersion)")
        case .run:
            let file =
                if let path = arguments.configPath {
                    try ConfigurationFile(path: path).settings
                } else {
                    try ConfigurationFile.ifPresent()?.settings ?? []
                }
            let configuration = try Configuration(file: file, commandLine: arguments.settings)
            return try RunCommand(configuration: configuration).run()
        }
        return 0
    }

    private static func run(_ kind: any ParsableCommand.Type, _ arguments: [String]) -> Never {
        do {
            var command = try kind.parseAsRoot(arguments)
            try command.run()
            Glibc.exit(0)
        } catch let error as ConfigurationError {
            fail(error.sentence, error.exitStatus)
        } catch {
            let status = kind.exitCode(for: error).rawValue
            if error is ExitCode { Glibc.exit(status) }
            // --help and what only prints.
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
