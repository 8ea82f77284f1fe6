// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync metrics`: the status in Prometheus' text format.
struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync metrics",
        abstract: "Shows the node's metrics for Prometheus.",
        discussion: """
            For the textfile collector of node_exporter; ct_sync exporter answers a scrape itself. \
            A daemon that does not answer has the metric ct_sync_up alone, with the value 0. Exit \
            status 0: written; 75: the file cannot be written; 77: written, and you may not ask the \
            daemon.
            """)

    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    @Option(
        help: ArgumentHelp(
            "Replaces this file in one step instead of printing them.", valueName: "path"))
    var textfile: String?

    func run() throws {
        var seen = Observation(samples: 1)
        seen.take(Observation.ask(controlFile: controlFile, since: .max))
        let text = Metrics.text(seen.status)
        if let textfile {
            do throws(SystemError) {
                try TextFile.replace(textfile, with: text)
            } catch {
                throw ConfigurationError("the metrics are not written: \(error)", at: .notReady)
            }
        } else {
            print(text, terminator: "")
        }
        try seen.refuseIfForbidden(controlFile)
    }
}
