#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Looks at what "make release" has gathered: each package once, checksums that are right, and a source that
# knows its version and commit without git.
#
#   Tests/packaging/release.sh DIRECTORY

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
directory=${1:-.build/release-$(packaging/version version)}
scratch=$(mktemp -d /tmp/ct_sync-release-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
version=$(packaging/version version)

for pattern in "ct-sync_${version}_*.deb" "ct-sync-$version-*.rpm" "ct_sync-$version-linux-*.tar.xz" \
    "ct_sync-$version.tar.xz"; do
    take_package "$directory" "$pattern"
    echo "${package##*/}"
done | sort > "$scratch/wanted"
cut -d ' ' -f 3 "$directory/SHA256SUMS" | sort > "$scratch/summed"
check "four files of $version: $(tr '\n' ' ' < "$scratch/wanted")" \
    "[ \$(wc -l < $scratch/wanted) -eq 4 ] && cmp $scratch/wanted $scratch/summed"
check "SHA256SUMS is right" "(cd $directory && sha256sum --check --quiet SHA256SUMS)"
check "and nothing else is there" "[ \"\$(ls $directory | wc -l)\" -eq 5 ]"

tar -xJf "$directory/ct_sync-$version.tar.xz" -C "$scratch"
source=$scratch/ct_sync-$version
check "the source is one directory, with its licence" "[ -f $source/LICENSE ] && [ -f $source/Package.swift ]"
check "it knows its version" "[ \"\$($source/packaging/version version)\" = $version ]"
commit=$(git -c safe.directory="$PWD" rev-parse --short=12 HEAD 2> /dev/null || packaging/version commit)
check "and its commit, $commit, without git" "[ \"\$($source/packaging/version commit)\" = $commit ]"
[ "$failures" -eq 0 ]
