// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync history`: the last transitions of this node.
struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync history",
        abstract: "Shows the last hundred transitions of this node.",
        discussion: """
            Roles, sync, other nodes, link, keys and l2drop, each once, with its cause and how long what \
            was before had lasted; the journal has the same sentences. Without a daemon it shows \
            what the last one has kept beside the control file. Exit status 0: shown; 2: no daemon \
            there and nothing kept; 3: no answer in time; 77: not allowed.
            """)

    @OptionGroup var source: StatusSource

    @Flag(help: "Shows them as a JSON array of objects.")
    var json = false

    func run() throws {
        let events = try source.events()
        guard json else {
            for event in events { print(Words.time(of: event), event.text, separator: "  ") }
            return
        }
        print("[\(events.map(\.json).joined(separator: ",\n "))]")
    }
}

extension StatusSource {
    /// Asks the daemon for its history, or reads what the last one has kept.
    func events() throws -> [HistoryEvent] {
        do throws(SystemError) {
            return try ControlClient.request(
                controlFile: controlFile, [ControlLine("get", "history")]
            ).compactMap { HistoryEvent(line: $0.value) }
        } catch {
            let kept = History(controlFile: controlFile).events
            let status = Self.end(error, controlFile, isSaid: kept.isEmpty)
            guard status == ExitCode(2), !kept.isEmpty else { throw status }
            return kept
        }
    }
}
