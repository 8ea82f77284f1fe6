// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync check`: would a takeover work?
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync check",
        abstract: "Checks, item by item, whether a takeover would work.",
        discussion: """
            On a slave: whether it could become master now; on a master: whether its slaves could. \
            The sysctls of the nodes are compared; keepalived's and Pacemaker's files are read, if \
            they are there. What is not well is followed by what to type. Exit status as of monitoring plugins: 0: \
            all is well; 1: warnings; 2: a takeover would fail, or no daemon answers.
            """)

    @OptionGroup var source: StatusSource

    func run() throws {
        let lines: [ControlLine]
        do throws(SystemError) {
            lines = try ControlClient.request(
                controlFile: source.controlFile, [ControlLine("get", "check")])
        } catch {
            _ = StatusSource.end(error, source.controlFile)
            throw ExitCode(2)
        }
        let items = lines.map { line in
            line.value.split(separator: "\t", omittingEmptySubsequences: false).map { String($0) }
        }.filter { $0.count == 4 }
        var worst: Int32 = 0
        let manager = ManagerCheck(ManagerCheck.Node(try source.report())).items
        for item in items.map({ (Int32($0[0]) ?? 2, $0[1], $0[2], $0[3]) }) + manager {
            let (level, name, text, remedy) = item
            worst = max(worst, level)
            print("\(["ok  ", "warn", "FAIL"][Int(min(max(level, 0), 2))])  \(name): \(text)")
            if !remedy.isEmpty { print("      try   \(remedy)") }
        }
        throw ExitCode(worst)
    }
}
