// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import Glibc
import NIOCore
import Synchronization

/// The program: asks the daemon once a second, and answers HTTP with what it said last.
///
/// The first thread asks, another serves from what was found; so no client, however slow or many,
/// reaches the daemon.
@main
enum Exporter {
    /// Ten minutes.
    static let samples = 600

    /// Reads the flags, which `ct_sync exporter` has checked, and runs.
    static func main() {
        StandardDescriptors.openClosed()
        do {
            let flags = try flags(CommandLine.arguments.dropFirst())
            let listen = try ListenAddress(text: flags["--listen"] ?? "127.0.0.1:9378")
            let controlFile = flags["--control-file"] ?? Configuration.defaultControlFile
            let desk = Desk()
            desk.ask(controlFile)
            watch(desk, controlFile, try server(desk, listen))
        } catch let error as ConfigurationError {
            fail(error.sentence, error.exitStatus)
        } catch {
            fail("the exporter cannot listen: \(error)", 75)
        }
    }

    private static func server(_ desk: Desk, _ listen: ListenAddress) throws -> Server {
        do {
            return try Server(desk, listen)
        } catch let error as IOError {
            let isForbidden = error.errnoCode == EACCES
            throw ConfigurationError(
                "the exporter cannot listen on \(listen.address), port \(listen.port): "
                    + String(cString: strerror(error.errnoCode)),
                at: isForbidden ? .notAllowed : .notReady)
        }
    }

    private static func flags(
        _ words: ArraySlice<String>
    ) throws(ConfigurationError) -> [String: String] {
        var flags: [String: String] = [:]
        var rest = words
        while let word = rest.popFirst() {
            guard ["--listen", "--control-file"].contains(word), let value = rest.popFirst() else {
                throw ConfigurationError(
                    "ct_sync-exporter takes --listen and --control-file; it is run as "
                        + "\"ct_sync exporter\"", at: .commandLine)
            }
            flags[word] = value
        }
        return flags
    }

    /// Asks for ever; returns only if the server has ended.
    private static func watch(_ desk: Desk, _ controlFile: String, _ server: Server) {
        var next = Clock.now()
        while server.isOpen {
            let now = Clock.now()
            if now < next { usleep(UInt32((next - now) / 1_000)) }
            desk.ask(controlFile)
            next = max(next + Duration.second, Clock.now())
        }
        fail("the exporter does not listen any more", 75)
    }

    private static func fail(_ sentence: String, _ status: Int32) {
        let line = "ct_sync: \(sentence)\n"
        _ = write(STDERR_FILENO, line, line.utf8.count)
        exit(status)
    }
}

/// What was found last, for both threads.
final class Desk: Sendable {
    private let seen = Mutex(Observation(samples: Exporter.samples))

    /// As it is now.
    var now: Observation { seen.withLock { $0 } }

    /// Asks the daemon, which may take two seconds, and takes what it says.
    func ask(_ controlFile: String) {
        let answer = Observation.ask(controlFile: controlFile, since: now.since)
        seen.withLock { _ = $0.take(answer) }
    }
}
