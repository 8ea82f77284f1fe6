#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's lintian on the package: no errors and no warnings. What it says below that is shown. And the
# number in Debian's changelog is the program's.
#
#   Tests/packaging/lint.sh [DIRECTORY_OF_THE_PACKAGE]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_package "${1:-.build/deb}" "ct-sync_*.deb"
need lintian
words=$(lintian --allow-root --pedantic --display-info --show-overrides "$package" 2>&1)
status=$?
# In a program of this size there are letters of every kind.
echo "$words" | grep -v 'spelling-error-in-binary'
# 2: there are errors, those that are overridden included; warnings never count there.
if { [ $status -ne 0 ] && [ $status -ne 2 ]; } || echo "$words" | grep -q '^[EW]:'; then
    echo "FAIL  lintian finds errors or warnings"
    exit 1
fi
echo "ok    lintian finds no error and no warning"
version=$(packaging/version version)
top=$(sed -n '1s/^ct-sync (\(.*\)) .*/\1/p' packaging/debian/changelog)
if [ "$top" != "$version" ] || ! grep -q "^## $version" CHANGELOG.md; then
    echo "FAIL  the version is $version, but packaging/debian/changelog begins with $top, or CHANGELOG.md lacks it"
    exit 1
fi
echo "ok    the changelogs are of $version"
