// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

@Suite struct DaemonArgumentsTests {
    private func flag(_ name: String, _ value: String) -> Setting { Setting(name, value, .flag) }

    @Test func flagsTakeTheirValueFromTheNextWordOrAfterAnEqualsSign() throws {
        let arguments = try DaemonArguments([
            "--syncdev", "eth2", "--id=-1", "state=1", "--id", "-2", "--replicate",
            "accept mark 1", "--config", "a=b", "--l2drop_exempt", "x", "--l2drop-exempt=y=z",
        ])
        #expect(
            arguments.settings == [
                Setting("state", "1", .parameter), flag("syncdev", "eth2"), flag("id", "-1"),
                flag("id", "-2"), flag("replicate", "accept mark 1"),
                flag("l2drop_exempt", "x"), flag("l2drop-exempt", "y=z"),
            ])
        #expect(arguments.configPath == "a=b" && arguments.wish == .run)
    }

    @Test func afterTwoDashesThereAreParametersOnly() throws {
        let arguments = try DaemonArguments(["--id", "1", "--", "id=2", "--id=3"])
        #expect(
            arguments.settings == [
                Setting("id", "2", .parameter), Setting("--id", "3", .parameter), flag("id", "1"),
            ])
    }

    @Test func helpAndVersionAreShownWhateverElseIsGiven() throws {
        #expect(try DaemonArguments(["--nonsense", "x", "--help"]).wish == .help)
        #expect(try DaemonArguments(["-h"]).wish == .help)
        #expect(try DaemonArguments(["--syncdev", "--version"]).wish == .version)
        #expect(try DaemonArguments([]).wish == .run)
    }

    @Test(
        arguments: [
            (["--id"], "--id is given without a value; it must be a number from 0 to 255"),
            (
                ["--l2drop", "--id", "1"],
                "--l2drop is given without a value; it must be 0 or 1"
            ),
            (["--config"], "--config is given without a value; it must be a file"),
            (["=1"], "the argument \"=1\" is not of the form name=value"),
        ]) func aWordThatIsNeitherIsRefused(_ words: [String], _ sentence: String)
    {
        let error = #expect(throws: ConfigurationError.self) { try DaemonArguments(words) }
        #expect(error?.sentence == sentence)
        #expect(error?.exitStatus == 64)
    }

    @Test(
        arguments: [
            ("statsu", "there is no command \"statsu\"; did you mean status?"),
            ("xyzzy", "there is no command \"xyzzy\"; ct_sync help shows what there is"),
            ("a\u{1B}b", "there is no command \"a?b\"; ct_sync help shows what there is"),
            ("dump", "the command dump must be the first word: ct_sync dump"),
            ("l2drop_on_exit", "l2drop-on-exit is given without a value; it must be keep or open"),
            ("-x", "\"-x\" is no flag of ct_sync; ct_sync help shows what there is"),
        ]) func aWordWithoutAnEqualsSignIsNoSetting(_ word: String, _ sentence: String)
    {
        for words in [["id=1", word], ["--", word]] {
            let error = #expect(throws: ConfigurationError.self) {
                try DaemonArguments(words, commands: ["status", "dump"])
            }
            #expect(error?.sentence == sentence)
            #expect(error?.exitStatus == 64)
        }
    }

    @Test(arguments: [["--nonsense"], ["--nonsense", "x"], ["--nonsense=x"]])
    func anUnknownFlagIsNoSetting(_ words: [String]) {
        let error = #expect(throws: ConfigurationError.self) {
            try DaemonArguments(["--syncdev", "s"] + words)
        }
        #expect(
            error?.sentence.hasPrefix("--nonsense is no setting of ct_sync; there are ") == true)
        #expect(error?.exitStatus == 64)
    }
}
