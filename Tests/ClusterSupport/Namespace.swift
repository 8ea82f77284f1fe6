// SPDX-License-Identifier: GPL-2.0-or-later

import CCTSyncShims
import Foundation
import Glibc
import Synchronization

/// A network namespace: a host of its own, with a name that no other run uses.
package final class Namespace: Sendable {
    /// As `ip netns list` shows it.
    package let name: String
    private let closed = Mutex(false)

    private static let count = Mutex(0)

    /// A number for the namespaces of one network: the process and a count in it.
    package static func nextRun() -> String {
        let number = count.withLock { count -> Int in
            count += 1
            return count
        }
        return "cts\(getpid())-\(number)"
    }

    /// Makes a namespace `RUN-ROLE` with its loopback device up.
    package init(run: String, role: String) throws {
        name = "\(run)-\(role)"
        try Command.run(["ip", "netns", "add", name])
        try ip("link set dev lo up")
    }

    deinit { close() }

    /// Removes it, with its devices and rules; programs that still run in it keep a nameless rest.
    package func close() {
        let first = closed.withLock { closed -> Bool in
            defer { closed = true }
            return !closed
        }
        if first { _ = try? Command.run(["ip", "netns", "del", name]) }
    }

    /// Runs a body on a thread inside the namespace; sockets it opens stay there.
    package func inside<Result: Sendable>(
        _ body: @escaping @Sendable () throws -> Result
    ) throws -> Result {
        let box = Box(Mutex<Swift.Result<Result, any Error>?>(nil))
        let name = name
        Background(named: "cts_inside") {
            let outcome = Swift.Result { () throws -> Result in
                try Self.enter(name)
                return try body()
            }
            box.value.withLock { $0 = outcome }
        }.join()
        guard let outcome = box.value.withLock({ $0 }) else {
            throw CallFailed("a thread in \(name)", errno: ESRCH)
        }
        return try outcome.get()
    }

    /// Puts the calling thread into a namespace, for good.
    private static func enter(_ name: String) throws {
        let descriptor = open("/run/netns/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CallFailed("open /run/netns/\(name)") }
        defer { Glibc.close(descriptor) }
        guard ctsync_setns_net(descriptor) == 0 else { throw CallFailed("setns \(name)") }
    }

    /// The words that run a program inside.
    package func words(_ words: [String]) -> [String] {
        ["ip", "netns", "exec", name] + words
    }

    /// Runs a program inside and gives its standard output.
    ///
    /// - Throws: `CommandFailed` with its standard error.
    @discardableResult
    package func run(_ words: [String], input: String = "") throws -> String {
        try Command.run(self.words(words), input: input)
    }

    /// Runs lines of ip(8), without the leading `ip`.
    package func ip(_ lines: String) throws {
        try Command.run(["ip", "-n", name, "-batch", "-"], input: lines + "\n")
    }

    /// Loads nftables rules.
    package func nft(_ rules: String) throws {
        try run(["nft", "-f", "-"], input: rules + "\n")
    }

    /// Writes settings by their names in sysctl(8).
    package func set(_ settings: KeyValuePairs<String, Int>) throws {
        let lines = settings.map { ($0.key, $0.value) }
        try inside {
            for (key, value) in lines {
                let path = "/proc/sys/" + key.replacingOccurrences(of: ".", with: "/")
                let descriptor = open(path, O_WRONLY | O_CLOEXEC)
                guard descriptor >= 0 else { throw CallFailed("open \(path)") }
                defer { Glibc.close(descriptor) }
                let text = Array("\(value)\n".utf8)
                guard write(descriptor, text, text.count) == text.count else {
                    throw CallFailed("write \(path)")
                }
            }
        }
    }
}

/// A non-copyable value that several closures share.
package final class Box<Value: ~Copyable & Sendable>: Sendable {
    package let value: Value
    package init(_ value: consuming Value) { self.value = value }
}
