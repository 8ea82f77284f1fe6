// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

@Suite struct SealKeyFileTests {
    private static let first = String(repeating: "0f", count: 32)
    private static let second = String(repeating: "A7", count: 32)

    private static func sentence(_ text: String) -> String? {
        #expect(throws: ConfigurationError.self) {
            try SealKeyFile.parse(Array(text.utf8), "/etc/key")
        }?.sentence
    }

    @Test func aKeyIsALine() throws {
        let text = "# of 2026\n\n \(Self.first)\t\r\n#\n\(Self.second)"
        let keys = try SealKeyFile.parse(Array(text.utf8), "f")
        #expect(keys.map(\.text) == [Self.first, Self.second.lowercased()])
    }

    /// Mistakes are named by their line, and without what stands there.
    @Test func mistakes() {
        let hint = "a key is 64 hexadecimal digits; ct_sync genkey makes one"
        for bad in [
            String(Self.first.dropLast()), Self.first + "0", Self.first.dropLast() + "g",
            "0x" + Self.first.dropLast(2), Self.first + " " + Self.second,
        ] {
            #expect(Self.sentence("#\n\(bad)\n") == "/etc/key:2: \(hint)")
        }
        #expect(
            Self.sentence("\(Self.first)\n\(Self.first)\n") == "/etc/key:2: this key is there twice"
        )
        #expect(Self.sentence("# nothing")?.contains("has 0 keys; 1 to 4 are allowed") == true)
        let five = (1...5).map { String(repeating: "0\($0)", count: 32) }.joined(separator: "\n")
        #expect(Self.sentence(five)?.contains("has 5 keys") == true)
    }

    @Test func aNewKeyIsTheOwnersAlone() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("key")
        try SealKeyFile.generate(path)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600)
        let keys = try SealKeyFile.read(path)
        #expect(keys.count == 1)
        // None is overwritten, and no two are alike.
        #expect(throws: ConfigurationError.self) { try SealKeyFile.generate(path) }
        #expect(try SealKeyFile.read(path)[0] == keys[0])
        try SealKeyFile.generate(scratch.file("other"))
        #expect(try !(SealKeyFile.read(scratch.file("other"))[0] == keys[0]))
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666] as [mode_t])
    func aFileThatOthersReadIsRefused(_ mode: mode_t) throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("key")
        try SealKeyFile.generate(path)
        chmod(path, mode)
        let error = #expect(throws: ConfigurationError.self) { try SealKeyFile.read(path) }
        #expect(error?.sentence.contains("others than its owner can read the key file") == true)
        chmod(path, 0o400)
        #expect(try SealKeyFile.read(path).count == 1)
    }

    @Test func whatIsNoFileIsRefused() throws {
        let scratch = ScratchDirectory()
        for (path, word) in [
            (scratch.path, "cannot be read"), (scratch.file("none"), "cannot be read"),
        ] {
            let error = #expect(throws: ConfigurationError.self) { try SealKeyFile.read(path) }
            #expect(error?.sentence.contains(word) == true)
        }
        mkfifo(scratch.file("pipe"), 0o600)
        let pipe = #expect(throws: ConfigurationError.self) {
            try SealKeyFile.read(scratch.file("pipe"))
        }
        #expect(pipe?.sentence.contains("is not a regular file") == true)
        ScratchDirectory.write(String(repeating: "#", count: 5_000), to: scratch.file("long"))
        chmod(scratch.file("long"), 0o600)
        let long = #expect(throws: ConfigurationError.self) {
            try SealKeyFile.read(scratch.file("long"))
        }
        #expect(long?.sentence.contains("more than 4096 bytes") == true)
    }
}
