// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import ConntrackdImport
import Glibc

/// `ct_sync import-conntrackd`: conntrackd's configuration as one of ct_sync, on standard output.
struct ImportConntrackdCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync import-conntrackd",
        abstract: "Prints a ct_sync.conf made of conntrackd's configuration.",
        discussion: """
            Each clause is named in a comment with its line and what became of it. Nothing is \
            written but standard output. Exit status: 0 printed; 65 the file has a mistake, or \
            replicates nothing; 66 it cannot be read. Then nothing is printed there.
            """)

    @Argument(help: "conntrackd's configuration.")
    var file = "/etc/conntrackd/conntrackd.conf"

    func run() throws {
        let text = try read()
        let result: String
        do throws(ImportMistake) {
            result = try ConntrackdConversion.configuration(from: text, path: file)
        } catch {
            throw refusal(error.sentence, EX_DATAERR)
        }
        // What is printed is a configuration that the daemon takes, or nothing is printed.
        do throws(ConfigurationError) {
            let file = try ConfigurationFile(text: result, path: "the result")
            _ = try Configuration(file: file.settings, commandLine: [])
        } catch {
            throw refusal("the result is wrong: \(error.sentence)", EX_SOFTWARE)
        }
        print(result, terminator: "")
    }

    private func read() throws -> String {
        guard let stream = fopen(file, "re") else { throw unreadable() }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = fread(&chunk, 1, chunk.count, stream)
            bytes += chunk[..<count]
            guard bytes.count <= Self.sizeLimit else {
                throw refusal(
                    "\(file) has more than \(Self.sizeLimit) bytes and is no configuration",
                    EX_DATAERR)
            }
            if count == 0 {
                guard ferror(stream) == 0 else { throw unreadable() }
                return String(decoding: bytes, as: UTF8.self)
            }
        }
    }

    /// More than this is no configuration, in bytes.
    private static let sizeLimit = 1 << 20

    private func unreadable() -> ExitCode {
        refusal("\(file) cannot be read: \(String(cString: strerror(errno)))", EX_NOINPUT)
    }

    /// Says why on standard error; the status to end with.
    private func refusal(_ sentence: String, _ status: Int32) -> ExitCode {
        let line = Array("ct_sync: \(sentence)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        return ExitCode(status)
    }
}
