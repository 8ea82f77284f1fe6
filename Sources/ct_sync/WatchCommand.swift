// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync watch`: how the node is, on one screen that is drawn again each second.
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync watch",
        abstract: "Shows the node's state on one screen, each second.",
        discussion: """
            The verdict, connections and rates with the last minute as a small graph, the sync \
            link, the kernel, the nodes, the last transitions. q ends it. It needs a terminal; \
            NO_COLOR is respected. Exit status 0: ended; 64: no terminal; 77: not allowed.
            """)

    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    func run() throws {
        var seen = Observation(samples: 600)
        seen.ask(controlFile: controlFile)
        try seen.refuseIfForbidden(controlFile)
        guard let screen = Screen() else {
            throw ConfigurationError(
                "ct_sync watch needs a terminal; ct_sync status and ct_sync monitor do not",
                at: .commandLine)
        }
        defer { screen.close() }
        var terminal = WatchScreen.Terminal()
        terminal.hasColor = getenv("NO_COLOR") == nil
        terminal.isPlain = !Screen.isUTF8
        var next = Clock.now() + Duration.second
        while true {
            let now = Clock.now()
            if now >= next {
                seen.ask(controlFile: controlFile)
                next = max(next + Duration.second, Clock.now())
            }
            (terminal.columns, terminal.rows) = screen.size
            screen.show(WatchScreen(seen, terminal).lines)
            switch screen.wait(until: next) {
            case .quit: return
            case .draw: continue
            }
        }
    }
}
