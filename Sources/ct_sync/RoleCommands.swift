// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync promote`: the same as writing `master` to the control file, with a true exit status.
struct PromoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync promote",
        abstract: "Makes the node master.",
        discussion: """
            Exit status 0: it is master; 1: it is not, or it is but the node is still dark, and why; \
            2: no daemon there.
            """)

    @OptionGroup var change: RoleChange

    func run() throws {
        throw ExitCode(change.run(.master))
    }
}

/// `ct_sync demote`: the same as writing `slave` to the control file, with a true exit status.
struct DemoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync demote",
        abstract: "Makes the node slave.",
        discussion: """
            Exit status 0: it is slave; 1: it is not, or it is but the node is not dark, and why; \
            2: no daemon there.
            """)

    @OptionGroup var change: RoleChange

    func run() throws {
        throw ExitCode(change.run(.slave))
    }
}

/// What both have in common.
struct RoleChange: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's control file.", valueName: "path"))
    var controlFile = Configuration.defaultControlFile

    @Flag(help: "Waits for a promotion that itself waits for an initsync (--require-sync).")
    var wait = false

    @Option(
        help: ArgumentHelp(
            "Seconds after which it gives up: 1 to 86400.", valueName: "seconds"))
    var timeout = 30

    /// How often it looks while it waits, in microseconds.
    private static let interval: UInt32 = 20_000

    func validate() throws {
        guard (1...86_400).contains(timeout) else {
            throw ValidationError(
                "--timeout is \"\(timeout)\" but must be a number from 1 to 86400 (seconds)")
        }
    }

    /// Asks the daemon; returns the exit status.
    func run(_ role: Role) -> Int32 {
        let deadline = Clock.now() + UInt64(timeout) * Duration.second
        do throws(SystemError) {
            _ = try ControlClient.request(
                controlFile: controlFile,
                [ControlLine("set", "role"), ControlLine("role", role.description)],
                timeoutMilliseconds: timeout * 1_000)
            while true {
                let status = try status()
                if status["role"] == .text(role.description) { return result(role, status) }
                guard wait else { return fail("it waits for an initsync; see --wait") }
                guard Clock.now() < deadline else {
                    return fail("it still waits for an initsync after \(timeout) seconds")
                }
                usleep(Self.interval)
            }
        } catch {
            let isAbsent = [ENOENT, ECONNREFUSED].contains(error.errno)
            let reason = isAbsent ? "no daemon answers beside \(controlFile): " : ""
            return fail("\(reason)\(error)", isAbsent ? 2 : 1)
        }
    }

    private func status() throws(SystemError) -> StatusReport {
        let lines = try ControlClient.request(
            controlFile: controlFile, [ControlLine("get", "status")])
        guard let report = StatusReport.parse(lines) else {
            throw SystemError("the daemon's answer", errno: EPROTO)
        }
        return report
    }

    /// The exit status with the role there: whether l2drop has followed it.
    private func result(_ role: Role, _ status: StatusReport) -> Int32 {
        guard case .text(let reason) = status["l2drop_error"], !reason.isEmpty else { return 0 }
        say("it is \(role), but \(reason)")
        return 1
    }

    private func fail(_ reason: String, _ status: Int32 = 1) -> Int32 {
        say("the role is not changed: \(reason)")
        return status
    }

    private func say(_ words: String) {
        let sentence = "ct_sync: \(words)\n"
        _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
    }
}
