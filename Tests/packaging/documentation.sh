#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Holds the documents against the program: each flag of --help stands in the man page and the other way
# round, what the program generates stands in the sample file and the man pages as generated, the man
# pages are sound, and what Tests/docs/check looks at.
#
#   Tests/packaging/documentation.sh [PATH_OF_CT_SYNC [PACKAGE [PATH_OF_DEMO]]]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
binary=${1:-.build/release/ct_sync}
[ -x "$binary" ] || { echo "no ct_sync at $binary" >&2; exit 1; }
[ $# -gt 0 ] || set -- "$binary"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

flags() { grep -oE -e '(^|[^a-z0-9-])--[a-z][a-z0-9-]*' | grep -oE -e '--[a-z0-9-]+' | sort -u; }

# same WHAT FILE_WANTED FILE_FOUND
same() {
    if [ -s "$2" ] && diff "$2" "$3" > "$scratch/difference"; then
        echo "ok    $1: $(wc -l < "$2")"
    else
        fail "$1 (< wanted, > found):"
        cat "$scratch/difference"
    fi
}

commands=$("$binary" --help | sed -n '/^COMMANDS/,/^$/ s/^  \([a-z][a-z0-9-]*\)  .*/\1/p')
for command in "" $commands; do
    # No command is no word.
    # shellcheck disable=SC2086
    "$binary" $command --help || { echo "FAIL  $command --help"; exit 1; }
done > "$scratch/help"
flags < "$scratch/help" > "$scratch/flags"

# -man's "\-" is a dash, "\~" a space.
sed -e '/^\.\\"/d' -e 's/\\-/-/g' -e 's/\\~/ /g' man/ct_sync.8 | flags > "$scratch/man"
same "flags in ct_sync(8)" "$scratch/flags" "$scratch/man"
printf '%s\n' $commands | sort > "$scratch/commands"
sed -e 's/\\-/-/g' -e 's/\\~/ /g' man/ct_sync.8 | awk '/^\.SH/ { isThere = $2 == "COMMANDS" }
    isThere && term { print $2 }
    { term = $1 == ".TP" }' | sort > "$scratch/man"
same "commands in ct_sync(8)" "$scratch/commands" "$scratch/man"
packaging/write-documents "$binary" "$scratch/written"
for document in conf/ct_sync.conf man/ct_sync.8 man/ct_sync.conf.5; do
    same "$document is as generated" "$scratch/written/$document" "$document"
done

# The sample is understood as it stands, and with everything in it that is commented out: what is
# refused then is the device, or the group beside a peer.
complaint() { "$binary" --config "$1" --syncdev absent0 --control-file "$scratch/state" 2>&1; }
complaint conf/ct_sync.conf > "$scratch/words"
if ! grep -q 'syncdev "absent0" cannot be used' "$scratch/words"; then
    fail "conf/ct_sync.conf: $(cat "$scratch/words")"
fi
"$binary" genkey "$scratch/key"
sed -e 's/^#options/options/' -e '/ group=/d' -e "s| key-file=.*| key-file=$scratch/key|" conf/ct_sync.conf \
    > "$scratch/all.conf"
complaint "$scratch/all.conf" > "$scratch/words"
if grep -q 'syncdev "absent0" cannot be used' "$scratch/words"; then
    echo "ok    conf/ct_sync.conf is understood, with all of it"
else
    fail "conf/ct_sync.conf, all of it: $(cat "$scratch/words")"
fi

# Reasons and drop counters that the code can show.
sed -n 's/^ *case [a-zA-Z0-9]* = "\(.*\)"$/\1/p' Sources/CTSync/Node/NodeReport+Reason.swift \
    > "$scratch/reasons"
[ -s "$scratch/reasons" ] || fail "no reasons are found"
while read -r reason; do
    if ! grep -qF "| \`$reason\` |" docs/troubleshooting.md; then
        fail "docs/troubleshooting.md does not name the reason \"$reason\""
    fi
done < "$scratch/reasons"
sed -n 's/^ *case \([a-z]*\)$/\1/p' Sources/CTSync/Wire/WireError.swift > "$scratch/counters"
[ -s "$scratch/counters" ] || fail "no counters are found"
while read -r counter; do
    if ! grep -q "^[0-9]\. \`$counter\`" WIRE.md; then
        fail "WIRE.md does not name the counter \"$counter\""
    fi
done < "$scratch/counters"

version=$("$binary" --version | cut -d " " -f 1,2)
for page in man/*; do
    if ! grep -q "\"$version\"" "$page"; then
        fail "$page is not of $version"
    fi
    if command -v man > /dev/null; then
        LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings --encoding=UTF-8 --local-file "$page" \
            2> "$scratch/warnings" > /dev/null
    else
        mandoc -T lint -W warning "$page" > "$scratch/warnings" 2>&1
    fi
    if [ -s "$scratch/warnings" ]; then
        fail "$page:"
        cat "$scratch/warnings"
    else
        echo "ok    $page"
    fi
done

Tests/docs/check "$@" || fail "Tests/docs/check"

[ "$failures" -eq 0 ]
