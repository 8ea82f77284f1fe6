// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync

/// Completions for zsh(1).
enum ZshCompletion {
    /// The script.
    static var text: String {
        """
        #compdef ct_sync
        # Completions of ct_sync for zsh, written by "ct_sync completion zsh".

        _ct_sync_settings() {
            local name=${${words[CURRENT]%%=*}//_/-}
            if compset -P '*='; then
                case $name in
        \(values)
                esac
                return
            fi
            compadd -S '' -- \(SettingsTable.names.map { $0 + "=" }.joined(separator: " "))
        }

        _ct_sync_devices() {
            compadd -- /sys/class/net/*(N:t)
        }

        _ct_sync() {
            local -a commands=(
        \(commandList)
            )
            if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
                _describe command commands
                _ct_sync_settings
                return
            fi
            case $words[2] in
        \(commandArguments)
                *)
                    _arguments \\
        \(flags(CommandSyntax.daemonFlags)) \\
                        '*:setting:_ct_sync_settings'
                    ;;
            esac
        }

        # Read by itself at the first use, or with source.
        if [[ $funcstack[1] == _ct_sync ]]; then
            _ct_sync "$@"
        else
            compdef _ct_sync ct_sync
        fi

        """
    }

    /// What is offered after an equals sign.
    private static var values: String {
        SettingsTable.all.compactMap { row in
            let answer: String? =
                switch row.candidates {
                case .none: nil
                case .files: "_files"
                case .devices: "_ct_sync_devices"
                case .words(let words): "compadd -- \(words.joined(separator: " "))"
                }
            return answer.map { "            \(row.name)) \($0) ;;" }
        }.joined(separator: "\n")
    }

    private static var commandList: String {
        CommandSyntax.commands.map { command in
            "        \(quoted("\(command.name):\(escaped(command.summary))"))"
        }.joined(separator: "\n")
    }

    private static var commandArguments: String {
        CommandSyntax.commands.map { command in
            let words = command.words.joined(separator: " ")
            let argument =
                command.words.isEmpty ? "" : " \\\n                \(quoted("1:word:(\(words))"))"
            return """
                        \(command.name))
                            shift words
                            (( CURRENT-- ))
                            _arguments \\
                \(flags(command.flags))\(argument)
                            ;;
                """
        }.joined(separator: "\n")
    }

    private static func flags(_ flags: [CommandSyntax.Flag]) -> String {
        flags.map { flag in
            var text = flag.isRepeatable ? "*" : ""
            text += flag.name + (flag.valueName == nil ? "" : "=")
            text += "[\(escaped(flag.summary))]"
            if let name = flag.valueName {
                text += ":\(name.filter { $0 != ":" }):\(action(flag.candidates))"
            }
            return "                \(quoted(text))"
        }.joined(separator: " \\\n")
    }

    private static func action(_ candidates: ValueCandidates) -> String {
        switch candidates {
        case .none: " "
        case .files: "_files"
        case .devices: "_ct_sync_devices"
        case .words(let words): "(\(words.joined(separator: " ")))"
        }
    }

    /// Brackets and colons end a description.
    private static func escaped(_ text: String) -> String {
        text.map { "[]:".contains($0) ? "\\\($0)" : "\($0)" }.joined()
    }

    private static func quoted(_ text: String) -> String {
        "'\(text.replacing("'", with: "'\\''"))'"
    }
}
