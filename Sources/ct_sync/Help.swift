// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// What `ct_sync --help` shows.
enum Help {
    private static let head = """
        OVERVIEW: Replicates a firewall's tracked connections to its standbys.

        Runs in the foreground until SIGTERM. The cluster manager writes master or slave
        to the control file to change the role, and reads the role from it.
        ct_sync status shows the state of a running daemon.

        USAGE: ct_sync --syncdev DEVICE [--id NUMBER] [--state master|slave] [settings]
               ct_sync syncdev=DEVICE [id=NUMBER] [state=1|0] [name=value ...]
               ct_sync COMMAND [options]
               ct_sync help COMMAND

        """

    /// All of it.
    static var text: String {
        let commands = Commands.shown.map {
            TextLayout.helpItem(Commands.name($0), $0.configuration.abstract)
        }
        return head + "\nCOMMANDS:\n" + commands.joined()
            + "\nSETTINGS, as flags; also as name=value, with underscores or dashes:\n"
            + SettingsTable.help
    }
}

/// `ct_sync help`: the same as `--help`, of the program or of a command.
struct HelpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync help", abstract: "Shows all commands and settings, or one command.")

    @Argument(help: ArgumentHelp("The command.", valueName: "command"))
    var name: String?

    func run() throws {
        guard let name else { return print(Help.text, terminator: "") }
        guard let command = Commands.named(name) else {
            // Says what the name could have been.
            _ = try DaemonArguments(["--", name], commands: Commands.names)
            throw ValidationError("there is no command \"\(name)\"")
        }
        print(command.helpMessage())
    }
}
