// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync

/// Completions for bash(1), with nothing but the shell itself.
enum BashCompletion {
    /// The script.
    ///
    /// The shell breaks words at equals signs: `--state=ma` and `state=ma` come as three words.
    static var text: String {
        """
        # Completions of ct_sync for bash, written by "ct_sync completion bash".

        _ct_sync() {
            local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
            local command=${COMP_WORDS[1]} flags words
            if [ "$word" = "=" ]; then
                word=
            elif [ "$previous" = "=" ]; then
                previous=${COMP_WORDS[COMP_CWORD - 2]}
            fi
            COMPREPLY=()
            [ "$COMP_CWORD" -gt 1 ] || command=
            case $command in
        \(commands)
                *)
                    flags="\(names(CommandSyntax.daemonFlags))"
                    words="\(SettingsTable.names.map { $0 + "=" }.joined(separator: " "))"
                    [ "$COMP_CWORD" -gt 1 ] || words="\(Commands.names.joined(separator: " ")) $words"
                    previous=${previous//_/-}
                    case --${previous#--} in
        \(values(CommandSyntax.daemonFlags))
                    esac
                    ;;
            esac
            case $word in
                -*) words=$flags ;;
            esac
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
            case ${COMPREPLY[0]} in
                *=) compopt -o nospace ;;
            esac
        }

        _ct_sync_files() {
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$1")
        }

        _ct_sync_words() {
            mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
        }

        complete -F _ct_sync ct_sync

        """
    }

    private static var commands: String {
        CommandSyntax.commands.map { command in
            """
                    \(command.name))
                        flags="\(names(command.flags))"
                        words="\(command.words.joined(separator: " "))"
                        case $previous in
            \(values(command.flags))
                            *) ;;
                        esac
                        ;;
            """
        }.joined(separator: "\n").replacing("\n\n", with: "\n")
    }

    private static func names(_ flags: [CommandSyntax.Flag]) -> String {
        flags.map(\.name).joined(separator: " ")
    }

    /// What is offered for the values of flags.
    private static func values(_ flags: [CommandSyntax.Flag]) -> String {
        flags.filter { $0.valueName != nil }.map { flag in
            let answer =
                switch flag.candidates {
                case .none: "return"
                case .files: "_ct_sync_files \"$word\"; return"
                case .devices: "_ct_sync_words \"$word\" \"$(command ls /sys/class/net)\"; return"
                case .words(let words):
                    "_ct_sync_words \"$word\" \"\(words.joined(separator: " "))\"; return"
                }
            return "                \(flag.name)) \(answer) ;;"
        }.joined(separator: "\n")
    }
}
