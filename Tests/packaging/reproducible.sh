#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Two builds of each package of one staged root have the same bytes, an hour and a umask apart.
#
#   Tests/packaging/reproducible.sh [STAGED_ROOT [KIND...]]
#       A KIND is deb, rpm or tarball; all of them if none is named.

set -u
cd "$(dirname "$0")/../.." || exit 1
staged=${1:-.build/staged}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- deb rpm tarball
[ -x "$staged/usr/sbin/ct_sync" ] || { echo "nothing is staged in $staged" >&2; exit 1; }
scratch=$(mktemp -d /tmp/ct_sync-reproducible-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
failures=0

# A staged root as another build would make it: other times, another order in the directories.
mkdir "$scratch/other"
(cd "$staged" && find . -type f | sort -r | tar --create --files-from=-) \
    | (umask 022 && tar --extract --directory="$scratch/other")
find "$scratch/other" -exec touch --date='1 hour ago' {} +

for kind; do
    packaging/build-$kind "$staged" "$scratch/1-$kind" > "$scratch/words" 2>&1 || cat "$scratch/words"
    (umask 077 && packaging/build-$kind "$scratch/other" "$scratch/2-$kind") > "$scratch/words" 2>&1 \
        || cat "$scratch/words"
    first=$(echo "$scratch/1-$kind"/*)
    second=$(echo "$scratch/2-$kind"/*)
    if cmp "$first" "$second"; then
        echo "ok    $kind: $(sha256sum < "$first" | cut -c 1-16), $(stat -c %s "$first") bytes, twice"
    else
        echo "FAIL  $kind: two builds differ"
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
