// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// The program: a command of the client if its first word names one, else the daemon.
@main
enum CTSyncCommand {
    /// Does what the arguments ask for; a mistake is one sentence on standard error.
    static func main() {
        StandardDescriptors.openClosed()
        do throws(ConfigurationError) {
            // Swift reads them from /proc/self/cmdline; without it a daemon would start here,
            // whatever was asked for.
            guard !CommandLine.arguments.isEmpty else {
                throw ConfigurationError(
                    "the arguments cannot be read, as /proc is not mounted; mount it first",
                    at: .notReady)
            }
            let words = Array(CommandLine.arguments.dropFirst())
            if let name = words.first, let command = Commands.named(name) {
                run(command, Array(words.dropFirst()))
            }
            end(try runDaemon(words))
        } catch {
            fail(error.sentence, error.exitStatus)
        }
    }

    /// Returns the exit status, of the daemon after its end.
    private static func runDaemon(_ words: [String]) throws(ConfigurationError) -> Int32 {
        let arguments = try DaemonArguments(words, commands: Commands.names)
        switch arguments.wish {
        case .help: print(Help.text, terminator: "")
        case .version: print(CTSyncVersionLine)
        case .run:
            return try RunCommand(arguments).run()
        }
        return 0
    }

    private static func run(_ kind: any ParsableCommand.Type, _ arguments: [String]) -> Never {
        do {
            var command = try kind.parseAsRoot(arguments)
            try command.run()
            end(0)
        } catch let error as ConfigurationError {
            fail(error.sentence, error.exitStatus)
        } catch {
            let status = kind.exitCode(for: error).rawValue
            if error is ExitCode { end(status) }
            // --help and what only prints.
            if status == 0 {
                print(kind.fullMessage(for: error))
                end(0)
            }
            fail(withHelp(kind, kind.message(for: error).prefix { !$0.isNewline }), status)
        }
    }

    /// The parser's own sentences have a capital. Those that do not end in what is allowed name the help that
    /// does.
    private static func withHelp(_ kind: any ParsableCommand.Type, _ sentence: Substring) -> String
    {
        let isWhole = sentence.hasSuffix(".") || sentence.hasSuffix("?")
        guard sentence.first?.isUppercase == true, !isWhole,
            let name = kind.configuration.commandName
        else { return String(sentence) }
        return "\(sentence); \(name) --help shows what is allowed"
    }

    /// Ends the program. What was printed has to be where it should be, or nothing was done: a configuration or
    /// a key that a full disk cut off is none.
    private static func end(_ status: Int32) -> Never {
        guard StandardDescriptors.isOutputWritten() else {
            fail("standard output could not be written", EX_IOERR)
        }
        Glibc.exit(status)
    }

    private static func fail(_ sentence: String, _ status: Int32) -> Never {
        JournalLogHandler.refuse(sentence.prefix { !$0.isNewline })
        Glibc.exit(status)
    }
}
