// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync l2drop`: the way out for somebody at the console; works without a daemon.
struct L2DropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync l2drop",
        abstract: "Shows whether the node is dark, or makes it visible.",
        discussion: """
            Needs no daemon. Exit status of status: 0 the drop is on, 1 it is off; of off: 0 it is \
            off and stays so; of both: 2 the rules cannot be read or removed, and why. A daemon \
            that is slave puts it on again when it is demoted or starts.
            """)

    /// What is asked for.
    enum Action: String, ExpressibleByArgument, CaseIterable {
        case status
        case off
    }

    @Argument(help: "status or off.")
    var action: Action

    func run() throws {
        var status: Int32 = 0
        do throws(L2DropError) {
            switch action {
            case .status: status = try show()
            case .off:
                try L2Drop.off()
                print("l2drop is off")
            }
        } catch {
            let sentence = "ct_sync: \(error)\n"
            _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
            status = 2
        }
        throw ExitCode(status)
    }

    private func show() throws(L2DropError) -> Int32 {
        let drops = try L2Drop.status()
        for drop in drops { print("\(drop.name): on, by \(drop.backend.rawValue)") }
        if drops.isEmpty { print("l2drop is off") }
        return drops.isEmpty ? 1 : 0
    }
}
