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
            2: no daemon there; 77: not allowed.
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
            2: no daemon there; 77: not allowed.
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

    /// Asks the daemon; returns the exit status. One deadline for all of it.
    func run(_ role: Role) -> Int32 {
        let deadline = Clock.now() + UInt64(timeout) * Duration.second
        let answer: [ControlLine]
        do throws(SystemError) {
            answer = try ControlClient.request(
                controlFile: controlFile,
                [ControlLine("set", "role"), ControlLine("role", role.description)],
                timeoutMilliseconds: timeout * 1_000)
        } catch {
            let isAbsent = [ENOENT, ECONNREFUSED].contains(error.errno)
            if isAbsent { return fail("no daemon answers beside \(controlFile): \(error)", 2) }
            if error.errno == EACCES { return fail("you may not order the daemon: \(error)", 77) }
            // The order was given, and may yet be obeyed.
            guard error.errno == ETIMEDOUT else { return fail("\(error)") }
            say("no answer within \(timeout) seconds: whether it becomes \(role) is not known")
            return 1
        }
        // What the daemon has said is so, whatever happens to it later.
        if value("role", answer) == role.description { return result(role, answer) }
        guard wait else { return fail("it waits for an initsync; see --wait") }
        return waitFor(role, deadline)
    }

    private func value(_ key: String, _ answer: [ControlLine]) -> String? {
        answer.first { $0.key == key }?.value
    }

    private func waitFor(_ role: Role, _ deadline: Instant) -> Int32 {
        while true {
            let now = Clock.now()
            guard now < deadline else {
                return fail("it still waits for an initsync after \(timeout) seconds")
            }
            do throws(SystemError) {
                let status = try status(within: deadline - now)
                if status["role"] == .text(role.description) { return result(role, status) }
            } catch {
                // Slow, and so asked again; or gone.
                guard error.errno == ETIMEDOUT else { return fail("\(error)") }
            }
            usleep(Self.interval)
        }
    }

    private func status(within time: UInt64) throws(SystemError) -> StatusReport {
        let lines = try ControlClient.request(
            controlFile: controlFile, [ControlLine("get", "status")],
            timeoutMilliseconds: Int(time / Duration.millisecond) + 1)
        guard let report = StatusReport.parse(lines) else {
            throw SystemError("the daemon's answer", errno: EPROTO)
        }
        return report
    }

    /// The exit status with the role there: whether l2drop has followed it.
    private func result(_ role: Role, _ status: StatusReport) -> Int32 {
        guard case .text(let reason) = status["l2drop_error"], !reason.isEmpty else { return 0 }
        return result(role, but: reason)
    }

    /// The same from the answer to the order.
    private func result(_ role: Role, _ answer: [ControlLine]) -> Int32 {
        guard let report = StatusReport.parse(answer.filter { $0.key == "l2drop_error" }) else {
            return 0
        }
        return result(role, report)
    }

    private func result(_ role: Role, but reason: String) -> Int32 {
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
