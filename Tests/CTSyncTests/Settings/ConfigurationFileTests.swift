// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct ConfigurationFileTests {
    @Test func optionsLinesAreReadInOrderWithTheirLineNumbers() throws {
        let file = try ConfigurationFile(
            text: """
                # ct_sync of this pair

                options ct_sync syncdev=eth2 state=0\tid=1   # the first
                  # a comment that goes on \\
                  here
                options  ct_sync \\
                    peer=192.0.2.1 \\
                    initsync_rate=500
                options ct_sync
                """ + "\r\n\r\noptions ct_sync port=9\r\n", path: "c")
        func setting(_ name: String, _ value: String, _ line: Int) -> Setting {
            Setting(name, value, .file(path: "c", line: line))
        }
        #expect(
            file.settings == [
                setting("syncdev", "eth2", 3), setting("state", "0", 3), setting("id", "1", 3),
                setting("peer", "192.0.2.1", 6), setting("initsync_rate", "500", 6),
                setting("port", "9", 11),
            ])
    }

    @Test(
        arguments: [
            ("\noptions other x=1", "c:2: \"options other x=1\" is not understood; a line is "),
            ("install ct_sync /bin/true", "c:1: \"install ct_sync /bin/true\" is not understood; "),
            ("options", "c:1: \"options\" is not understood; a line is \"options ct_sync name="),
            ("options ct_sync id", "c:1: \"id\" is not of the form name=value"),
            ("options ct_sync =1", "c:1: \"=1\" is not of the form name=value"),
        ]) func anythingElseIsAnErrorWithItsLine(_ text: String, _ begin: String)
    {
        let error = #expect(throws: ConfigurationError.self) {
            try ConfigurationFile(text: text, path: "c")
        }
        #expect(error?.sentence.hasPrefix(begin) == true, "\(String(describing: error))")
        #expect(error?.exitStatus == 78)
    }

    @Test func aFileThatCannotBeReadIsNamed() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("none.conf")
        let error = #expect(throws: ConfigurationError.self) { try ConfigurationFile(path: path) }
        #expect(
            error?.sentence
                == "the configuration file \(path) cannot be read: No such file or directory")
        #expect(try ConfigurationFile.ifPresent(path: path) == nil)
        #expect(throws: ConfigurationError.self) {
            try ConfigurationFile.ifPresent(path: scratch.path)
        }
        #expect(throws: ConfigurationError.self) { try ConfigurationFile(path: "/dev/zero") }
    }

    @Test func theFileIsReadFromDisk() throws {
        let scratch = ScratchDirectory()
        let path = scratch.file("ct_sync.conf")
        ScratchDirectory.write("options ct_sync syncdev=eth2 id=4\n", to: path)
        let file = try #require(try ConfigurationFile.ifPresent(path: path))
        let settings = try Configuration(file: file.settings, commandLine: [])
        #expect(settings.syncdev == "eth2" && settings.nodeID == 4)
    }
}
