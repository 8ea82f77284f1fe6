// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation

/// The conntrackd.conf files beside these tests.
enum ConntrackdFiles {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("conntrackd")

    /// The text of one of them, by its name without the suffix.
    static func text(_ name: String) throws -> String {
        try String(
            contentsOf: directory.appendingPathComponent(name + ".conf"), encoding: .utf8)
    }

    /// All of them but the broken ones, in order.
    static var names: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: directory.path)
                .filter { $0.hasSuffix(".conf") }.map { String($0.dropLast(5)) }.sorted()
        }
    }
}
