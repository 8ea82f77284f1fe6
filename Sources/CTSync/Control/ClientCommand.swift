// SPDX-License-Identifier: GPL-2.0-or-later

/// A command of the client, as it is to be typed for one of several daemons of a machine.
enum ClientCommand {
    /// The control file of a node that is given none.
    static let usualControlFile = "/run/ct_sync/state"

    /// Those that ask the daemon beside a control file.
    private static let asking: Set<Substring> = [
        "status", "watch", "monitor", "history", "check", "verify", "rehearse", "promote", "demote",
        "dump", "flush", "resync", "initsync-rate", "rekey",
    ]

    /// With the control file, unless it is the usual one; any other command is left as it is.
    static func typed(_ command: String, controlFile: String) -> String {
        let words = command.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard !controlFile.isEmpty, controlFile != usualControlFile, words.count > 1,
            words[0] == "ct_sync", asking.contains(words[1])
        else { return command }
        let rest = words.dropFirst(2).first.map { " \($0)" } ?? ""
        return "ct_sync \(words[1]) --control-file \(controlFile)\(rest)"
    }
}
