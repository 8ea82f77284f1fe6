// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// Programs run to their end.
struct ChildProcessTests {
    /// A stop that reaches every process of a service or a terminal cuts no program short.
    @Test(arguments: ["TERM", "INT", "HUP"])
    func comesToItsEnd(_ signal: String) throws {
        let outcome = try ChildProcess.run("/bin/sh", ["-c", "kill -\(signal) $$; echo end"])
        #expect(outcome.status == 0)
        #expect(outcome.output == "end\n")
    }

    @Test func statusOutputAndInput() throws {
        let outcome = try ChildProcess.run("/bin/sh", ["-c", "cat; exit 3"], input: "words")
        #expect(outcome.status == 3)
        #expect(outcome.output == "words")
        #expect(try ChildProcess.run("/bin/sh", ["-c", "kill -KILL $$"]).status == 137)
    }
}
