// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Testing

@testable import CTSync

@Suite struct SettingsTableTests {
    /// A file of the repository.
    private static func document(_ path: String) throws -> String {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test func namesAreWrittenAlikeAndOnlyOnce() {
        let names = SettingsTable.names
        #expect(Set(names).count == names.count && names.count >= 20)
        for name in names {
            #expect(name.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x32 })
            #expect(SettingsTable.row(name)?.name == name)
            #expect(!DaemonArguments.otherFlags.contains { $0.name == name })
        }
    }

    /// What help and manual call a default is the value that counts without the setting.
    @Test func defaultsAreWhatTheyAreSaidToBe() throws {
        let untouched = Configuration(syncdev: "")
        for row in SettingsTable.all {
            guard case .value(let text) = row.fallback else { continue }
            var configuration = untouched
            try row.take(Setting(row.name, text, .flag), &configuration)
            #expect(configuration == untouched, "\(row.name)")
        }
    }

    @Test func whatAShellOffersIsAllowed() throws {
        for row in SettingsTable.all {
            guard case .words(let words) = row.candidates else { continue }
            for word in words {
                var configuration = Configuration(syncdev: "")
                try row.take(Setting(row.name, word, .flag), &configuration)
            }
        }
    }

    @Test func theSampleFileIsTheGeneratedOneAndUnderstoodWithAllOfIt() throws {
        #expect(try Self.document("conf/ct_sync.conf") == SettingsTable.sampleFile)
        #expect(
            try ConfigurationFile(text: SettingsTable.sampleFile, path: "sample").settings.isEmpty)
        let all = SettingsTable.sampleFile.replacing("\n#options", with: "\noptions")
        let settings = try ConfigurationFile(text: all, path: "sample").settings
        #expect(settings.map(\.name) == SettingsTable.names)
        let counted = settings.filter { $0.name != "group" }
        #expect(try Configuration(counted).peers.count == 1)
    }

    @Test(arguments: ["man/ct_sync.8", "man/ct_sync.conf.5"])
    func theManualIsTheGeneratedOne(_ page: String) throws {
        let parts = try Self.document(page).split(separator: ".\\\" SETTINGS: ")
        try #require(parts.count == 3 && parts[2].hasPrefix("end\n"))
        let generated =
            page.hasSuffix("8") ? SettingsTable.manualOptions : SettingsTable.manualSettings
        #expect(parts[1].drop { $0 != "\n" }.dropFirst() == generated)
    }

    @Test func helpListsEverySettingWithItsDefault() throws {
        let help = SettingsTable.help.split(separator: "\n")
        #expect(help.allSatisfy { $0.count <= TextLayout.helpWidth })
        let words = SettingsTable.help.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
        for row in SettingsTable.all {
            #expect(words.contains("--\(row.name) <\(row.valueName)> "))
        }
        for remark in [
            "The device of the sync link. (repeatable; must be given)",
            "The UDP port of the sync link. "
                + "(default: 3781)", "(auto, netdev or tables; default: auto)",
            "besides the sync device. (repeatable)",
            "(repeatable; default: all connections)", "-h, --help Shows",
        ] {
            #expect(words.contains(remark), "\(remark)")
        }
    }

    /// The kinds that a new row may be of.
    @Test func kindsReadTheirTextOrSayWhatIsAllowed() throws {
        func setting(_ value: String) -> Setting { Setting("x", value, .flag) }
        let text = SettingKind.text(named: "name", upTo: 5)
        #expect(try text.read(setting("a_B-9")) == "a_B-9")
        for bad in ["", "123456", "a b", "ä", "a/b"] {
            let error = #expect(throws: ConfigurationError.self) { try text.read(setting(bad)) }
            #expect(
                error?.sentence.hasSuffix("1 to 5 letters, digits, dots, dashes or underscores")
                    == true)
        }
        let path = SettingKind.path(upTo: 4)
        #expect(try path.read(setting("/a/b")) == "/a/b")
        for bad in ["", "a", "/", "/a/", "/a/bc"] {
            #expect(throws: ConfigurationError.self) { try path.read(setting(bad)) }
        }
        let number = SettingKind<UInt8>.number(1...200)
        #expect(try number.read(setting("200")) == 200)
        for bad in ["0", "201", "256", "99999999999999999999", "1.0", " 1", "0x1", ""] {
            #expect(throws: ConfigurationError.self) { try number.read(setting(bad)) }
        }
        #expect(try SettingKind<Bool>.flag.read(setting("1")))
        #expect(SettingKind<Bool>.flag.valueName == "0|1")
    }

    @Test func textIsBrokenAtBlanks() {
        #expect(
            TextLayout.wrap("aa bb  cc dddddddd e", width: 5) == ["aa bb", "cc", "dddddddd", "e"])
        #expect(TextLayout.wrap("", width: 5).isEmpty)
        #expect(
            TextLayout.helpItem("--a-flag-that-is-long <x>", "y")
                == "  --a-flag-that-is-long <x>\n" + String(repeating: " ", count: 26) + "y\n")
    }
}
