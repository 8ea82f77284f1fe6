// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Testing

/// A terminal with a shell in it, as tmux has one.
final class Terminal {
    private let socket: String
    /// Its lines, as of the last look.
    private(set) var screen: [String] = []

    /// - Parameter directory: where its socket is to be.
    init(in directory: String) throws {
        socket = directory + "/tmux"
        _ = try tmux(
            "-u", "new-session", "-d", "-x", "80", "-y", "24", "-e", "LC_ALL=C.UTF-8", "-e",
            "NO_COLOR=1", "sh")
    }

    deinit { _ = try? tmux("kill-server") }

    private func tmux(_ words: String...) throws -> String {
        try Command.run(["tmux", "-S", socket, "-f", "/dev/null"] + words)
    }

    /// Types a line, and the return key.
    func type(line: String) throws { _ = try tmux("send-keys", line, "Enter") }

    /// Types a key.
    func type(key: String) throws { _ = try tmux("send-keys", key) }

    /// Gives it another size.
    func resize(_ columns: Int, _ rows: Int) throws {
        _ = try tmux("resize-window", "-x", "\(columns)", "-y", "\(rows)")
    }

    /// Waits until its screen is so.
    func wait(_ what: String, _ condition: ([String]) -> Bool) throws {
        try eventually(what, detail: { self.screen.joined(separator: "\n") }) {
            screen = try tmux("capture-pane", "-p").split(
                separator: "\n", omittingEmptySubsequences: false
            ).map { String($0) }
            return condition(screen)
        }
    }

    /// Takes it away with a signal, as a connection that breaks does.
    func kill() throws {
        let server = try tmux("display-message", "-p", "#{pid}")
        Glibc.kill(try #require(pid_t(server.trimmingCharacters(in: .newlines))), SIGKILL)
    }
}
