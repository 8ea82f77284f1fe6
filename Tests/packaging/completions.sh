#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completes command lines of ct_sync in bash, zsh and fish, with the completions that the program
# prints.
#
#   Tests/packaging/completions.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for shell in bash zsh fish; do
    command -v "$shell" > /dev/null || { echo "$shell is missing (package $shell)" >&2; exit 1; }
    "$binary" completion "$shell" > "$scratch/$shell" || exit 1
done

# What bash offers for the last of these words; it breaks them at equals signs itself.
in_bash() {
    bash -c 'compopt() { :; }
        . "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _ct_sync
        printf "%s\n" "${COMPREPLY[@]}"' bash "$scratch/bash" "$@"
}

in_fish() {
    fish --no-config --command "source $scratch/fish; complete --do-complete '$*'" | cut -f 1
}

# A terminal of its own, in which a widget prints what is offered and ends it.
cat > "$scratch/driver" <<'END'
zmodload zsh/zpty
zpty terminal zsh -f -i
zpty -w terminal "PS1=; unsetopt zle_bracketed_paste; fpath=($1 \$fpath)
autoload -Uz compinit; compinit -u -D
zstyle ':completion:*' list-grouped no
compadd() { builtin compadd -O offered \"\$@\"; print -rl -- \${(@)offered}; builtin compadd \"\$@\" }
show() { print BEGIN; zle complete-word; print END; exit }
zle -C complete-word complete-word _main_complete
zle -N show; bindkey '^X' show; print READY"
zpty -r terminal output $'*READY\r\n*'
zpty -w -n terminal "$2"$'\x18'
zpty -r terminal output '*END*'
print -r -- ${${output##*BEGIN}%%END*}
END
in_zsh() {
    mkdir -p "$scratch/functions"
    cp "$scratch/zsh" "$scratch/functions/_ct_sync"
    timeout 120 zsh -f "$scratch/driver" "$scratch/functions" "$*" | tr -d '\r'
}

# offers SHELL "WANTED..." "NOT WANTED..." WORDS...
offers() {
    shell=$1 wanted=$2 unwanted=$3
    shift 3
    offered=$("in_$shell" "$@" 2> "$scratch/errors" | tr '\n' ' ')
    for word in $wanted; do
        case " $offered " in
            *" $word "*) ;;
            *)
                fail "$shell: '$*' does not offer $word but: $offered$(cat "$scratch/errors")"
                return
                ;;
        esac
    done
    for word in $unwanted; do
        case " $offered " in
            *" $word "*)
                fail "$shell: '$*' offers $word"
                return
                ;;
        esac
    done
    echo "ok    $shell: '$*' offers $wanted"
}

offers bash "status promote completion syncdev=" "generate --json" ct_sync ""
offers bash "status" "promote" ct_sync st
offers bash "--syncdev --state --help" "--json" ct_sync --
offers bash "--json --control-file" "--syncdev" ct_sync status --
offers bash "lo" "master" ct_sync --syncdev ""
offers bash "master" "slave" ct_sync --state ma
offers bash "master slave" "status" ct_sync state =
offers bash "slave" "master" ct_sync --state = sl
offers bash "lo" "" ct_sync --id 1 l2drop_exempt = l
offers bash "status off" "netdev" ct_sync l2drop ""
offers bash "status l2drop" "syncdev=" ct_sync help ""
offers bash "conf" "status" ct_sync --config con
offers bash "zsh" "status" ct_sync completion ""

for shell in fish zsh; do
    offers $shell "status promote completion" "generate --json" "ct_sync "
    offers $shell "status" "promote" "ct_sync st"
    offers $shell "--syncdev --state --help" "--json" "ct_sync --"
    offers $shell "--json --control-file" "--syncdev" "ct_sync status --"
    offers $shell "lo" "master" "ct_sync --syncdev "
    offers $shell "master slave" "auto" "ct_sync --id 1 --state "
    offers $shell "status off" "netdev" "ct_sync l2drop "
done
offers fish "state=master state=slave" "status" "ct_sync state="
offers fish "syncdev=lo" "" "ct_sync --id 1 syncdev="
offers zsh "master slave" "auto" "ct_sync state="
offers zsh "lo" "auto" "ct_sync --id 1 syncdev="
offers zsh "syncdev=" "status" "ct_sync --id 1 "

[ "$failures" -eq 0 ]
