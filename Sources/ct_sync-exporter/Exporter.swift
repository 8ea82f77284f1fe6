// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import FlyingFox
import FlyingSocks
import Foundation
import Synchronization

/// The program: asks the daemon once a second, and answers HTTP with what it said last.
///
/// A thread asks, the server answers from what it has found; so no client, however slow or many,
/// reaches the daemon.
@main
enum Exporter {
    /// Ten minutes.
    static let samples = 600

    /// Reads the flags, which `ct_sync exporter` has checked, and runs.
    static func main() async {
        do {
            let flags = try flags(CommandLine.arguments.dropFirst())
            let listen = try ListenAddress(text: flags["--listen"] ?? "127.0.0.1:9378")
            let desk = Desk()
            watch(desk, flags["--control-file"] ?? Configuration.defaultControlFile)
            try await serve(desk, listen)
        } catch let error as ConfigurationError {
            say(error.sentence)
            exit(error.exitStatus)
        } catch {
            say("the exporter ends: \(error)")
            exit(75)
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

    private static func say(_ sentence: String) {
        FileHandle.standardError.write(Data("ct_sync: \(sentence)\n".utf8))
    }

    private static func watch(_ desk: Desk, _ controlFile: String) {
        let thread = Thread {
            var next = Date()
            while true {
                desk.ask(controlFile)
                next = max(next.addingTimeInterval(1), Date())
                Thread.sleep(until: next)
            }
        }
        thread.name = "ct_sync_ask"
        thread.start()
    }

    private static func serve(_ desk: Desk, _ listen: ListenAddress) async throws {
        let server =
            listen.isIPv6
            ? HTTPServer(
                address: try sockaddr_in6.inet6(ip6: listen.address, port: listen.port),
                timeout: 10, logger: .disabled)
            : HTTPServer(
                address: try sockaddr_in.inet(ip4: listen.address, port: listen.port),
                timeout: 10, logger: .disabled)
        for route in Answers.all {
            await server.appendRoute(HTTPRoute(route.path)) { request in
                route.answer(desk, request)
            }
        }
        try await server.run()
    }
}

/// What was found last, for all threads.
final class Desk: Sendable {
    private let seen = Mutex(Observation(samples: Exporter.samples))

    /// As it is now.
    var now: Observation { seen.withLock { $0 } }

    /// Asks the daemon, which may take two seconds, and takes what it says.
    func ask(_ controlFile: String) {
        let answer = Observation.ask(controlFile: controlFile)
        let time = UInt64(Date().timeIntervalSince1970 * 1e6)
        seen.withLock {
            _ = $0.take(answer.status, trouble: answer.trouble, time: time)
        }
    }
}
