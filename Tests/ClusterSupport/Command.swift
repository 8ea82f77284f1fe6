// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
package import Glibc
import Synchronization

/// What a program left behind.
package struct CommandResult: Sendable {
    /// The exit status; 128 and the signal's number for a program that a signal ended.
    package let status: Int32
    package let output: String
    package let errors: String
}

/// A program that ended with a status other than 0.
package struct CommandFailed: Error, CustomStringConvertible {
    package let words: [String]
    package let result: CommandResult

    package var description: String {
        "\(words.joined(separator: " ")): status \(result.status): \(result.errors)"
    }
}

/// Programs that run to their end.
package enum Command {
    /// Runs a program and gives its standard output.
    ///
    /// - Throws: `CommandFailed` with its standard error where the status is not 0.
    @discardableResult
    package static func run(_ words: [String], input: String = "") throws -> String {
        let result = try result(of: words, input: input)
        guard result.status == 0 else { throw CommandFailed(words: words, result: result) }
        return result.output
    }

    /// Runs a program and gives its status and what it printed.
    ///
    /// - Parameters:
    ///   - words: the program, looked up in PATH, and its arguments.
    ///   - input: its standard input.
    ///   - deadline: seconds until it is killed.
    package static func result(
        of words: [String], input: String = "", deadline: Double = 30
    ) throws -> CommandResult {
        let files = try (0..<3).map { _ in try TemporaryFile() }
        try files[0].write(input)
        let child = try ChildProcess(
            words, input: files[0].raw, output: files[1].raw, errors: files[2].raw)
        let status: Int32
        do {
            status = try child.waitForEnd(within: deadline)
        } catch {
            child.kill(SIGKILL)
            throw error
        }
        return CommandResult(
            status: status, output: try files[1].text(), errors: try files[2].text())
    }
}

/// A program that runs beside this one.
package final class ChildProcess: Sendable {
    package let words: [String]
    package let pid: pid_t
    private let ended = Mutex<Int32?>(nil)

    /// Starts a program with these descriptors as its standard input, output and error.
    package init(_ words: [String], input: CInt, output: CInt, errors: CInt) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, number) in zip([input, output, errors], CInt(0)...) {
            posix_spawn_file_actions_adddup2(&actions, descriptor, number)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var pid = pid_t()
        let result = posix_spawnp(&pid, words[0], &actions, nil, arguments, environ)
        guard result == 0 else { throw CallFailed("starting \(words[0])", errno: result) }
        self.words = words
        self.pid = pid
    }

    /// Starts a program without input whose output and errors go to the end of a file.
    package convenience init(_ words: [String], logFile: String) throws {
        let log = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard log >= 0 else { throw CallFailed("open \(logFile)") }
        defer { close(log) }
        let none = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(none) }
        try self.init(words, input: none, output: log, errors: log)
    }

    /// Its status once it has ended; nil while it runs.
    package var status: Int32? {
        ended.withLock { known in
            if let known { return known }
            var raw: CInt = 0
            guard waitpid(pid, &raw, WNOHANG) == pid else { return nil }
            known = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
            return known
        }
    }

    /// Sends a signal, unless it has ended.
    package func kill(_ signal: CInt) {
        if status == nil { _ = Glibc.kill(pid, signal) }
    }

    /// Waits for its end and gives its status.
    ///
    /// - Throws: `NeverHappened` after the deadline.
    @discardableResult
    package func waitForEnd(within seconds: Double) throws -> Int32 {
        try eventually(
            "the end of \(words.joined(separator: " "))", within: seconds, every: 0.001
        ) { status != nil }
        return status ?? -1
    }
}

/// A call that failed, with the text of its error number.
package struct CallFailed: Error, CustomStringConvertible {
    package let call: String
    package let number: CInt

    package init(_ call: String, errno number: CInt = Glibc.errno) {
        self.call = call
        self.number = number
    }

    package var description: String { "\(call): \(String(cString: strerror(number)))" }
}

extension ChildProcess {
    /// Kills it, and waits until it is gone.
    package func end() {
        kill(SIGKILL)
        _ = try? waitForEnd(within: 5)
    }
}

/// A file that is gone as soon as it is let go of.
private final class TemporaryFile {
    let raw: CInt

    init() throws {
        var template = Array("/tmp/cts-XXXXXX".utf8CString)
        raw = mkstemp(&template)
        guard raw >= 0 else { throw CallFailed("mkstemp") }
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
        unlink(template)
    }

    deinit { close(raw) }

    func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard pwrite(raw, bytes, bytes.count, 0) == bytes.count else { throw CallFailed("pwrite") }
    }

    func text() throws -> String {
        lseek(raw, 0, SEEK_SET)
        let handle = FileHandle(fileDescriptor: raw, closeOnDealloc: false)
        return String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self)
    }
}
