// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync dump`: shows the replicated connections, one a line.
struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync dump",
        abstract: "Shows the replicated connections.",
        discussion: """
            On a slave: the replicas, each with its age (seconds since the master told its timeout) \
            and origin (live: an event of the master; initsync: a walk of its table; kernel: found \
            here at the start, not confirmed yet). On a master: the connections of its table that \
            it replicates. Criteria are those of --replicate: ct_sync dump protocol tcp source \
            192.0.2.0/24. Exit status 0: all shown; 1: refused, and why; 2: no daemon there.
            """)

    @OptionGroup var daemon: DaemonRequest

    @Flag(help: "Shows them as a JSON array of objects.")
    var json = false

    @Flag(help: "Shows expectations instead of connections.")
    var expect = false

    @Argument(
        help: ArgumentHelp(
            "What a connection must be like to be shown, as after accept in --replicate.",
            valueName: "criteria"))
    var criteria: [String] = []

    func validate() throws {
        guard expect, !criteria.isEmpty else { return }
        throw ValidationError(
            "\"\(criteria.joined(separator: " "))\" is given with --expect; "
                + "criteria are for connections, not for expectations")
    }

    func run() throws {
        var lines = [ControlLine("get", "dump")]
        if expect { lines.append(ControlLine("resource", "expect")) }
        // Given in one word or in several: it is the same.
        let words = criteria.flatMap { $0.split(separator: " ") }.map { String($0) }
        if !words.isEmpty {
            try ReplicationRule.check(criteria: words)
            lines.append(ControlLine("match", words.joined(separator: " ")))
        }
        // A long list is not to hold up what the firewall forwards.
        _ = nice(10)
        var isFirst = true
        let status = daemon.run(
            lines,
            eachEntry: { entry in
                show(entry, isFirst)
                isFirst = false
            })
        // What is cut short is no JSON, and says so by its missing end.
        if json, status == 0 { print(isFirst ? "[]" : "\n]") }
        throw ExitCode(status)
    }

    private func show(_ entry: UnsafeRawBufferPointer, _ isFirst: Bool) {
        if json {
            print(isFirst ? "[\n" : ",\n", terminator: "")
            print(EntryLine.json(String(decoding: entry, as: UTF8.self)), terminator: "")
        } else {
            StandardDescriptors.printLine(entry)
        }
    }
}
