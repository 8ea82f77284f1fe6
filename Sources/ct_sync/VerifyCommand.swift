// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync verify`: has this slave's kernel what the master has?
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync verify",
        abstract: "Compares this slave's kernel with what the master has, now.",
        discussion: """
            It waits for the end. What differs is put right; up to 20 of these entries are shown, as \
            they were here and as the master has them. Entries that only this kernel has are shown \
            and left alone. Exit status 0: nothing differed; 1: something did, or it could not be \
            compared, and why; 2: no daemon there.
            """)

    @OptionGroup var daemon: DaemonRequest

    @Option(
        help: ArgumentHelp(
            "Seconds after which it gives up: 1 to 86400.", valueName: "seconds"))
    var timeout = 60

    /// How often it looks, in microseconds.
    private static let interval: UInt32 = 50_000

    func validate() throws {
        guard (1...86_400).contains(timeout) else {
            throw ValidationError(
                "--timeout is \"\(timeout)\" but must be a number from 1 to 86400 (seconds)")
        }
    }

    func run() throws {
        let deadline = Clock.now() + UInt64(timeout) * Duration.second
        let before = try ask("set")
        while true {
            let after = try ask("get")
            if after.number("checks") > before.number("checks"),
                after.number("initsyncs") > before.number("initsyncs")
            {
                throw ExitCode(show(after, before))
            }
            guard Clock.now() < deadline else {
                let isSent = after.number("initsyncs") > before.number("initsyncs")
                let what =
                    isSent ? "this kernel is still being read" : "the master has not sent its table"
                let sentence = "ct_sync: after \(timeout) seconds \(what)\n"
                _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
                throw ExitCode(1)
            }
            usleep(Self.interval)
        }
    }

    private func ask(_ verb: String) throws -> Answer {
        var lines: [ControlLine] = []
        let status = daemon.run([ControlLine(verb, "verify")]) { lines.append($0) }
        guard status == 0 else { throw ExitCode(status) }
        return Answer(lines: lines)
    }

    private struct Answer {
        let lines: [ControlLine]

        func number(_ key: String) -> UInt64 {
            lines.first { $0.key == key }.flatMap { UInt64($0.value) } ?? 0
        }
    }

    /// Prints the result; returns the exit status.
    private func show(_ after: Answer, _ before: Answer) -> Int32 {
        let (differed, added) = (after.number("differed"), after.number("added"))
        let ended = after.number("purged") - before.number("purged")
        print(
            Words.count(after.number("entries"), "entry", "entries") + " verified, "
                + "\(Words.number(differed)) differed, \(Words.number(added)) only here, "
                + "\(Words.number(ended)) ended at the master")
        var here = ""
        for line in after.lines {
            if line.key == "here" { here = line.value }
            guard line.key == "said" else { continue }
            print("")
            print("  here    \(here.isEmpty ? "nothing" : here)")
            print("  master  \(line.value.isEmpty ? "nothing" : line.value)")
        }
        return differed + added + ended == 0 ? 0 : 1
    }
}
