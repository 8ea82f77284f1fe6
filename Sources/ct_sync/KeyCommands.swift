// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync genkey`: a key for the sync link.
struct GenkeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync genkey",
        abstract: "Makes a key for the sync link.",
        discussion: """
            Writes it to a new file that only its owner can read, or prints it. All nodes of a \
            cluster have the same; the setting key-file names the file. Exit status 0: made; 78: \
            not, and why, as if the file is there already.
            """)

    @Argument(help: ArgumentHelp("The file. (default: prints the key)", valueName: "path"))
    var path: String?

    func run() throws {
        guard let path else { return print(SealKeyFile.newLine(), terminator: "") }
        try SealKeyFile.generate(path)
    }
}

/// `ct_sync rekey`: the key file once more.
struct RekeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync rekey",
        abstract: "Has the daemon read its key file again.",
        discussion: """
            Reads the settings key-file and key-mode and the file again, as SIGHUP does, and takes \
            them without a gap in replication; if something is wrong with them, all stays as it \
            was. Exit status 0: done; 1: not, and why; 2: no daemon there.
            """)

    @OptionGroup var daemon: DaemonRequest

    func run() throws {
        throw ExitCode(daemon.run([ControlLine("set", "rekey")]))
    }
}
