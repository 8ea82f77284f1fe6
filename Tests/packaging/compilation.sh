#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The packages have the same bytes when the commit is compiled once more, in another folder: clones HEAD into two
# folders with names of different lengths, runs "make deb rpm tarball" in each, and compares what came out. As
# root. Twice the time of a release build; that packing alone changes nothing is shown by reproducible.sh.
#
#   Tests/packaging/compilation.sh

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
need git
scratch=$(mktemp -d /tmp/ct_sync-compilation-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP

[ -z "$(git -c safe.directory="$PWD" status --porcelain)" ] \
    || echo "files differ from the commit; it is the commit that is compiled" >&2
first=$scratch/one
second=$scratch/another-one/of-a-longer-name
for folder in "$first" "$second"; do
    git -c safe.directory="$PWD/.git" clone --quiet --no-checkout . "$folder" || exit 1
    git -C "$folder" checkout --quiet --detach "$(git -c safe.directory="$PWD" rev-parse HEAD)" || exit 1
    # The same versions of what it needs.
    [ ! -e Package.resolved ] || cp Package.resolved "$folder"
    # Without the flags of the make that called this.
    (cd "$folder" && MAKEFLAGS= MAKELEVEL= "${MAKE:-make}" deb rpm tarball) > "$scratch/words" 2>&1 \
        || { tail -n 40 "$scratch/words"; fail "it does not compile in $folder"; exit 1; }
    # What is compared is staged and packed.
    rm -rf "$folder/.build/static"
done

# differing FILE FILE: which sections of two programs differ.
differing() {
    readelf --sections --wide "$1" | sed -n 's/^ *\[ *[0-9]*\] \([^ ]*\) .*/\1/p' | while read -r section; do
        for program; do readelf --hex-dump="$section" "$program" > "$program.section" 2> /dev/null; done
        cmp -s "$1.section" "$2.section" || echo "      $section of ${1##*/}"
        rm -f "$1.section" "$2.section"
    done
}

(cd "$first/.build/staged" && find . -type f | LC_ALL=C sort) > "$scratch/files"
(cd "$second/.build/staged" && find . -type f | LC_ALL=C sort) | cmp - "$scratch/files" \
    || fail "the staged roots have different files"
while read -r file; do
    cmp -s "$first/.build/staged/$file" "$second/.build/staged/$file" && continue
    fail "$file differs"
    differing "$first/.build/staged/$file" "$second/.build/staged/$file"
done < "$scratch/files"
for kind in deb rpm tarball; do
    take_kind "$first/.build/$kind" "$kind"
    one=$package
    take_kind "$second/.build/$kind" "$kind"
    same_bytes "$kind" "$one" "$package" "compiled twice" "two compilations"
done
[ "$failures" -eq 0 ]
