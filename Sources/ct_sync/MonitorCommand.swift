// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync monitor`: the node's transitions as a stream.
struct MonitorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync monitor",
        abstract: "Shows the node's transitions as they happen.",
        discussion: """
            First its state, then the lines of ct_sync history as they are written, until SIGTERM \
            or SIGINT. That the daemon stops or begins to answer is a line too. It asks four times \
            a second. Exit status 0: ended as asked; 77: not allowed.
            """)

    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    @Flag(help: "Shows each as a JSON object on a line of its own, as ct_sync history does.")
    var json = false

    @Option(help: ArgumentHelp("Ends after so many transitions.", valueName: "number"))
    var count: Int?

    /// Between two looks, in microseconds.
    private static let interval: UInt32 = 250_000

    func validate() throws {
        guard let count, count < 1 else { return }
        throw ValidationError("--count is \"\(count)\" but must be at least 1")
    }

    func run() throws {
        var seen = Observation(samples: 2)
        var shown = 0
        while true {
            let events = seen.ask(controlFile: controlFile)
            try seen.refuseIfForbidden(controlFile)
            for event in events {
                // Each as it comes, into a pipe too.
                let line = json ? event.json + "\n" : "\(Words.time(of: event))  \(event.text)\n"
                print(line, terminator: "")
                guard StandardDescriptors.isOutputWritten() else { return }
                shown += 1
                if shown == count { return }
            }
            usleep(Self.interval)
        }
    }
}

extension Observation {
    /// Ends the program that shows this if it may not ask the daemon.
    func refuseIfForbidden(_ controlFile: String) throws {
        guard isForbidden else { return }
        throw ConfigurationError(
            "you may not ask the daemon beside \(controlFile): \(trouble)", at: .notAllowed)
    }
}
