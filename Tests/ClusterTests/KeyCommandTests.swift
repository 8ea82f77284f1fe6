// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Testing

extension ClusterTests {
    /// How a key is made, what is refused, and what `rekey` reads.
    @Suite struct KeyCommandTests {
        @Test func genkeyMakesAFileForItsOwnerAlone() throws {
            try withCluster { cluster in
                let path = "\(cluster.directory)/new.key"
                let words = [try Daemon.binary(), "genkey", path]
                try Command.run(words)
                var status = stat()
                #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
                let key = try String(contentsOfFile: path, encoding: .utf8)
                #expect(key.utf8.count == 65 && key.hasSuffix("\n"))
                let second = try Command.result(of: words)
                #expect(second.status == 78 && second.errors.contains("no key was made"))
                #expect(try String(contentsOfFile: path, encoding: .utf8) == key)
                let printed = try Command.run([try Daemon.binary(), "genkey"])
                #expect(printed.utf8.count == 65 && printed != key)
                // It is one that a daemon takes.
                try cluster.firewalls[0].start(role: .slave, ["--key-file", path])
                #expect(try cluster.firewalls[0].count("keys", in: "seal") == 1)
            }
        }

        /// Nothing is changed on the machine then, and no part of the key is in the sentence.
        @Test func aKeyFileThatIsNoneIsRefusedInOneSentence() throws {
            try withCluster { cluster in
                let node = cluster.firewalls[0]
                let path = "\(cluster.directory)/bad.key"
                let key = KeyFiles.key(0x5A)
                let cases: [(text: String, mode: mode_t, words: String)] = [
                    (key, 0o644, "others than its owner can read the key file \(path)"),
                    (key, 0o620, "others than its owner can read the key file \(path)"),
                    (String(key.dropLast()), 0o600, "\(path):1: a key is 64 hexadecimal digits"),
                    ("\n\n" + key + "zz", 0o600, "\(path):3: a key is 64 hexadecimal digits"),
                    ("", 0o600, "has 0 keys"),
                ]
                for (text, mode, words) in cases {
                    try text.write(toFile: path, atomically: false, encoding: .utf8)
                    #expect(chmod(path, mode) == 0)
                    let result = try Self.start(node, ["--key-file", path])
                    #expect(result.status == 78, "\(result)")
                    #expect(result.errors.split(separator: "\n").count == 1)
                    #expect(result.errors.contains(words), "\(result.errors)")
                    #expect(!result.errors.contains("5a5a"))
                    #expect(!FileManager.default.fileExists(atPath: node.controlFile))
                }
                let absent = try Self.start(node, ["--key-file", path + ".absent"])
                #expect(absent.status == 78 && absent.errors.contains("cannot be read"))
            }
        }

        /// What systemd hands over counts if no file is named.
        @Test func theCredentialIsAKeyFileToo() throws {
            try withCluster { cluster in
                let files = KeyFiles(cluster: cluster)
                let nodes = cluster.firewalls
                try files.write([1], for: nodes[0])
                try files.start(nodes[0], .master)
                let key = "\(cluster.directory)/ct_sync.key"
                try KeyFiles.key(1).write(toFile: key, atomically: false, encoding: .utf8)
                #expect(chmod(key, 0o400) == 0)
                setenv("CREDENTIALS_DIRECTORY", cluster.directory, 1)
                defer { unsetenv("CREDENTIALS_DIRECTORY") }
                try nodes[1].start(role: .slave)
                try cluster.waitInSync()
                #expect(try nodes[1].count("keys", in: "seal") == 1)
            }
        }

        @Test func rekeyKeepsWhatItHasIfTheFileIsWrong() throws {
            try withCluster { cluster in
                let files = KeyFiles(cluster: cluster)
                try files.startPair([1])
                let node = cluster.firewalls[1]
                let wrong = [
                    ("nonsense\n", "a key is 64 hexadecimal digits"), ("", "has 0 keys"),
                ]
                for (text, words) in wrong {
                    try text.write(
                        toFile: files.path(node), atomically: false, encoding: .utf8)
                    let result = try node.command(["rekey"])
                    #expect(result.status == 1 && result.errors.contains(words), "\(result)")
                }
                try "options ct_sync key-mode=lax\n".write(
                    toFile: files.configuration(node), atomically: false, encoding: .utf8)
                let result = try node.command(["rekey"])
                #expect(result.status == 1 && result.errors.contains("strict or permissive"))
                try MadeEntries.create(0..<50, in: cluster.firewalls[0].host)
                try node.waitForEqualTable(to: cluster.firewalls[0], atLeast: 50)
                #expect(try node.count("keys", in: "seal") == 1)
            }
        }

        private static func start(_ node: Firewall, _ extra: [String]) throws -> CommandResult {
            let words = [try Daemon.binary()] + node.flags(role: .slave) + extra
            return try Command.result(of: node.host.words(words), deadline: 5)
        }
    }
}
