// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync
import Glibc

/// `ct_sync l2drop`: the way out for somebody at the console, and the drop of a node that boots; works
/// without a daemon.
struct L2DropCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync l2drop",
        abstract: "Shows whether the node is dark, makes it visible, or dark before its daemon.",
        discussion: """
            A dark node drops every frame but those of the sync link, of loopback and of exempt \
            devices. Needs no daemon. Exit status of status: 0 the drop is on, 1 it is off; of off: 0 it is \
            off and stays so; of all: 2 the rules cannot be read, removed or made, and why. A \
            daemon that is slave puts it on again when it is demoted or starts. on reads the \
            configuration file and makes the node dark as the daemon would, for a node that boots: \
            0 it is dark, or is left as it is (l2drop=0, state=1, a daemon runs), and why. 77: not \
            allowed (CAP_NET_ADMIN).
            """)

    /// What is asked for.
    enum Action: String, ExpressibleByArgument, CaseIterable {
        case status
        case off
        case on
    }

    @Argument(help: "status, off or on.")
    var action: Action

    @Option(
        help: ArgumentHelp(
            "The configuration file of on; /etc/ct_sync.conf by default.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp("The control file of on, if not the file's own.", valueName: "path"))
    var controlFile: String?

    func run() throws {
        try Capabilities().check(of: "ct_sync l2drop")
        var status: Int32 = 0
        do {
            switch action {
            case .status: status = try show()
            case .off:
                try L2Drop.off()
                print("l2drop is off")
            case .on: try putOn()
            }
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let sentence = "ct_sync: \(error)\n"
            _ = write(STDERR_FILENO, sentence, sentence.utf8.count)
            status = 2
        }
        throw ExitCode(status)
    }

    private func putOn() throws {
        let path = config ?? ConfigurationFile.defaultPath
        let commandLine = controlFile.map { [Setting("control-file", $0, .flag)] } ?? []
        let configuration = try Configuration(
            file: try ConfigurationFile(path: path).settings, of: path, commandLine: commandLine)
        switch try EarlyDarkness.putOn(configuration) {
        case .isDark: print("l2drop is on")
        case .isLeft(let reason): print("the node is left as it is: \(reason)")
        }
    }

    private func show() throws(L2DropError) -> Int32 {
        let drops = try L2Drop.status()
        for drop in drops { print("\(drop.name): on, by \(drop.backend.rawValue)") }
        if drops.isEmpty { print("l2drop is off") }
        return drops.isEmpty ? 1 : 0
    }
}
