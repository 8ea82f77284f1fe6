# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the test scripts, which read it after they have gone to the repository's folder. It leaves take_binary,
# take_package, take_kind, same_bytes, need, check, fail and within, and $failures, which is 0 if all was well.

failures=0
# A file that a check that fails shows, if a script sets it.
evidence=

# take_binary [PATH]: the ct_sync to test, as $binary.
take_binary() {
    binary=$(readlink -f "${1:-.build/release/ct_sync}")
    [ -x "$binary" ] || { echo "no ct_sync at $binary" >&2; exit 1; }
}

# take_package DIRECTORY PATTERN: the one file of that pattern there, as $package.
take_package() {
    package=
    for found in "$1"/$2; do
        if [ -n "$package" ] || [ ! -e "$found" ]; then
            echo "not one package in $1" >&2
            exit 1
        fi
        package=$(readlink -f "$found")
    done
}

# take_kind DIRECTORY KIND: the one deb, rpm or tarball there, as $package.
take_kind() {
    case $2 in tarball) take_package "$1" "*.tar.xz" ;; *) take_package "$1" "*.$2" ;; esac
}

# same_bytes KIND FILE FILE HOW WHAT: two packages made so; if they differ, WHAT do.
same_bytes() {
    if cmp "$2" "$3"; then
        echo "ok    $1: $(sha256sum < "$2" | cut -c 1-16), $(stat -c %s "$2") bytes, $4"
    else
        fail "$1: $5 differ"
    fi
}

# need PROGRAM...
need() {
    for program; do
        command -v "$program" > /dev/null || { echo "$program is missing (make packages)" >&2; exit 1; }
    done
}

fail() {
    echo "FAIL  $1"
    [ -z "$evidence" ] || cat "$evidence"
    failures=$((failures + 1))
}

# check WHAT CONDITION: one line says what was looked at, and whether it is so.
check() {
    if eval "$2"; then echo "ok    $1"; else fail "$1"; fi
}

# within SECONDS CONDITION...: waits until it is so; fails if it was not in that time.
within() {
    tries=$(($1 * 10))
    shift
    until eval "$*"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
