// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync flows`: connections that begin, change and end, as they do.
struct FlowsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync flows",
        abstract: "Shows connections that begin, change and end.",
        discussion: """
            Reads the kernel's events, beside a daemon or without one, until SIGTERM. A line has \
            the words of ct_sync dump, and at the end of a connection its packets, bytes and \
            duration if the kernel notes them (net.netfilter.nf_conntrack_acct and \
            nf_conntrack_timestamp). Events that the kernel had to drop are counted and shown. \
            Criteria are those of --replicate: ct_sync flows protocol tcp source 192.0.2.0/24. \
            Exit status 0: ended as asked; 77: not allowed (CAP_NET_ADMIN).
            """)

    @Flag(help: "Shows each event or summary as a JSON object on a line of its own.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Which events are shown: begin, change and end, joined by commas. (default: all)",
            valueName: "kinds"))
    var events: String?

    @Option(
        help: ArgumentHelp(
            "Instead of events, every so many seconds a summary of them and of the table: by "
                + "protocol, state, translation, top sources and destinations.",
            valueName: "seconds"))
    var summary: Int?

    @Option(
        help: ArgumentHelp(
            "Appends to a file, which SIGHUP opens again.", valueName: "path"))
    var log: String?

    @Option(help: ArgumentHelp("Ends after so many lines or summaries.", valueName: "number"))
    var count: UInt64?

    @Option(
        help: ArgumentHelp(
            "MiB of the kernel's buffer for events that wait: 1 to 1024.", valueName: "size"))
    var buffer = 16

    @Argument(
        help: ArgumentHelp(
            "What a connection must be like to be shown, as after accept in --replicate.",
            valueName: "criteria"))
    var criteria: [String] = []

    func validate() throws {
        if let summary, !(1...86_400).contains(summary) {
            throw ValidationError(
                "--summary is \"\(summary)\" but must be a number from 1 to 86400 (seconds)")
        }
        if summary != nil, events != nil {
            throw ValidationError("--events is given with --summary, which counts all of them")
        }
        guard (1...1_024).contains(buffer) else {
            throw ValidationError(
                "--buffer is \"\(buffer)\" but must be a number from 1 to 1024 (MiB)")
        }
        if count == 0 {
            throw ValidationError("--count is \"0\" but must be at least 1")
        }
        _ = try kinds()
    }

    private func kinds() throws -> Set<FlowEventKind> {
        guard let events else { return Set(FlowEventKind.allCases) }
        return Set(
            try events.split(separator: ",", omittingEmptySubsequences: false).map { word in
                guard let kind = FlowEventKind(rawValue: String(word)) else {
                    throw ValidationError(
                        "--events is \"\(events)\" but must be begin, change and end, "
                            + "joined by commas")
                }
                return kind
            })
    }

    func run() throws {
        var settings = FlowSettings()
        settings.isJSON = json
        settings.kinds = try kinds()
        settings.summaryInterval = summary.map { UInt64($0) * Duration.second }
        settings.log = log
        settings.limit = count
        settings.bufferBytes = buffer << 20
        settings.criteria = criteria.flatMap { $0.split(separator: " ") }.map { String($0) }
        try Flows.run(settings) { sentence in
            let line = "ct_sync: \(sentence)\n"
            _ = write(STDERR_FILENO, line, line.utf8.count)
        }
    }
}
