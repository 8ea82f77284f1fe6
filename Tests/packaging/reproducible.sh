#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A package has the same bytes when it is built once more, of a staged root of another time, with another
# umask. "make deb rpm tarball" has built the first of each.
#
#   Tests/packaging/reproducible.sh [STAGED_ROOT [KIND...]]
#       A KIND is deb, rpm or tarball; all of them if none is named.

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
staged=${1:-.build/staged}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- deb rpm tarball
[ -x "$staged/usr/sbin/ct_sync" ] || { echo "nothing is staged in $staged" >&2; exit 1; }
scratch=$(mktemp -d /tmp/ct_sync-reproducible-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

# A staged root as another build would make it: other times, another order in the directories.
mkdir "$scratch/other"
(cd "$staged" && find . -type f | sort -r | tar --create --files-from=-) \
    | (umask 022 && tar --extract --directory="$scratch/other")
find "$scratch/other" -exec touch --date='1 hour ago' {} +

for kind; do
    take_kind ".build/$kind" "$kind"
    first=$package
    (umask 077 && packaging/build-$kind "$scratch/other" "$scratch/$kind") > "$scratch/words" 2>&1 \
        || cat "$scratch/words"
    second=$(echo "$scratch/$kind"/*)
    same_bytes "$kind" "$first" "$second" twice "two builds"
done
[ "$failures" -eq 0 ]
