// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// The commands. Help and completions come from here, and from what each says of itself.
///
/// They are no subcommands to the argument parser, which would take their names for a `name=value`.
enum Commands {
    /// In the order in which they are shown.
    static let all: [any ParsableCommand.Type] = [
        StatusCommand.self, WatchCommand.self, MonitorCommand.self, HistoryCommand.self,
        CheckCommand.self, VerifyCommand.self, RehearseCommand.self, PromoteCommand.self,
        DemoteCommand.self,
        L2DropCommand.self, DumpCommand.self, FlowsCommand.self, MetricsCommand.self,
        ExporterCommand.self,
        FlushCommand.self, ResyncCommand.self, InitsyncRateCommand.self,
        GenkeyCommand.self, RekeyCommand.self, ImportConntrackdCommand.self, HelpCommand.self,
        CompletionCommand.self,
        GenerateCommand.self,
    ]

    /// Those that are for people.
    static var shown: [any ParsableCommand.Type] { all.filter { $0.configuration.shouldDisplay } }

    /// Their names.
    static var names: [String] { shown.map { name($0) } }

    /// The command's word after `ct_sync`.
    static func name(_ command: any ParsableCommand.Type) -> String {
        let whole = command.configuration.commandName ?? ""
        return String(whole.drop { $0 != " " }.dropFirst())
    }

    /// The command of a name.
    static func named(_ name: String) -> (any ParsableCommand.Type)? {
        all.first { self.name($0) == name }
    }
}
