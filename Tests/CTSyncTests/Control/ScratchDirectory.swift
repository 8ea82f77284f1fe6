// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// A directory of a test's own, gone with the test.
final class ScratchDirectory: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "ct_sync-test-" + UUID().uuidString.prefix(8)
        mkdir(path, 0o700)
    }

    deinit {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            print("left behind: \(path): \(error)")
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    /// Writes as `echo` does: open, truncate, write, close.
    static func write(_ text: String, to path: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        precondition(file >= 0, "open \(path): \(errno)")
        let bytes = Array(text.utf8)
        precondition(Foundation.write(file, bytes, bytes.count) == bytes.count)
        close(file)
    }

    static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether a descriptor has something to read within this time.
    static func isReadable(_ raw: CInt, milliseconds: CInt = 1_000) -> Bool {
        var wait = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
        return poll(&wait, 1, milliseconds) == 1
    }
}
