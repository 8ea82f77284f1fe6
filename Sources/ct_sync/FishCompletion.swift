// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync

/// Completions for fish(1).
enum FishCompletion {
    /// The script.
    static var text: String {
        let commands = CommandSyntax.commands
        let names = commands.map(\.name).joined(separator: " ")
        let isDaemon = "__ct_sync_is_daemon"
        var lines = [
            "# Completions of ct_sync for fish, written by \"ct_sync completion fish\".",
            "function __ct_sync_is_daemon", "    not __fish_seen_subcommand_from \(names)", "end",
            "complete -c ct_sync -f",
        ]
        for command in commands {
            lines.append(
                line("__fish_is_first_arg", "-a \(command.name) -d \(quoted(command.summary))"))
        }
        for row in SettingsTable.all {
            lines.append(line(isDaemon, "-a \(quoted(parameter(row)))"))
        }
        lines += CommandSyntax.daemonFlags.map { line(isDaemon, flag($0)) }
        for command in commands {
            let isThis = "__fish_seen_subcommand_from \(command.name)"
            lines += command.flags.map { line(isThis, flag($0)) }
            if !command.words.isEmpty {
                lines.append(
                    line(isThis, "-a \(quoted(command.words.joined(separator: " ")))"))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `name=`, or with each value that there is.
    private static func parameter(_ row: SettingDescription) -> String {
        switch row.candidates {
        case .none, .files: "\(row.name)="
        case .devices: "\(row.name)=(command ls /sys/class/net)"
        case .words(let words): words.map { "\(row.name)=\($0)" }.joined(separator: " ")
        }
    }

    private static func line(_ condition: String, _ rest: String) -> String {
        "complete -c ct_sync -n \(quoted(condition)) \(rest)"
    }

    private static func flag(_ flag: CommandSyntax.Flag) -> String {
        let value =
            switch flag.candidates {
            case _ where flag.valueName == nil: ""
            case .none: " -x"
            case .files: " -r -F"
            case .devices: " -x -a '(command ls /sys/class/net)'"
            case .words(let words): " -x -a \(quoted(words.joined(separator: " ")))"
            }
        return "-l \(flag.name.dropFirst(2))\(value) -d \(quoted(flag.summary))"
    }

    private static func quoted(_ text: String) -> String {
        "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
    }
}
