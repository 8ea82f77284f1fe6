// SPDX-License-Identifier: GPL-2.0-or-later

import ArgumentParser
import CTSync

/// `ct_sync completion`: what a shell needs to complete the command line.
struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ct_sync completion",
        abstract: "Prints the completions for a shell.",
        discussion: """
            They know commands, flags, settings, the devices of this machine and the words that a \
            setting allows. The package installs them; by hand: \
            source <(ct_sync completion bash).
            """)

    /// A shell.
    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash
        case zsh
        case fish
    }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() {
        let text =
            switch shell {
            case .bash: BashCompletion.text
            case .zsh: ZshCompletion.text
            case .fish: FishCompletion.text
            }
        print(text, terminator: "")
    }
}
