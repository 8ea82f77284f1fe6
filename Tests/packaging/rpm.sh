#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Looks into the RPM package: the same files as the Debian package, its owners and modes, its scripts,
# what it needs; then its program runs.
#
#   Tests/packaging/rpm.sh [DIRECTORY_OF_THE_PACKAGE]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_package "${1:-.build/rpm}" "ct-sync-*.rpm"
scratch=$(mktemp -d /tmp/ct_sync-rpm-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
# No database of this machine is asked or made.
ask() { rpm --dbpath "$scratch/database" "$@" 2> /dev/null; }

ask -qlp "$package" | sort > "$scratch/files"
dpkg-deb --contents .build/deb/ct-sync_*.deb | awk '$1 ~ /^-/ { print $6 }' \
    | sed -e 's|^\.||' -e 's|^/lib/|/usr/lib/|' \
    | grep -vE '/lintian/|/doc/ct-sync/changelog.gz$' | sort > "$scratch/debian"
check "the files of the Debian package: $(wc -l < "$scratch/debian")" \
    "[ -s $scratch/debian ] && [ -z \"\$(comm -13 $scratch/files $scratch/debian)\" ]"
check "and directories of its own only: $(comm -23 "$scratch/files" "$scratch/debian" | tr '\n' ' ')" \
    "! comm -23 $scratch/files $scratch/debian | grep -vE '/(ct_sync|ct-sync|examples|docs|ansible|defaults|handlers|tasks|templates)$'"
ask -qp --queryformat '[%{FILEUSERNAME} %{FILEGROUPNAME} %{FILEMODES:octal} %{FILENAMES}\n]' "$package" \
    > "$scratch/modes"
check "all are root's, and none is another's to write" \
    "! grep -v '^root root' $scratch/modes && ! awk '{ print \$3 }' $scratch/modes | grep -E '[2367].\$|[2367]\$'"
check "the configuration is kept" \
    "ask -qp --queryformat '[%{FILEFLAGS:fflags} %{FILENAMES}\n]' $package | grep -q '^cn /etc/ct_sync.conf'"
ask -qp --scripts "$package" > "$scratch/scripts"
for script in preinstall postinstall preuninstall postuninstall; do
    sed -n "/^$script scriptlet/,/^[a-z]* scriptlet/p" "$scratch/scripts" | grep -v scriptlet \
        > "$scratch/$script"
    check "$script is a script" "[ -s $scratch/$script ] && sh -n $scratch/$script"
done
check "an upgrade keeps the roles" "grep -q ct_sync-restart $scratch/postinstall"
check "the group is made" "grep -q 'groupadd --system ct_sync' $scratch/preinstall"
check "it is of this version" \
    "[ \"\$(ask -qp --queryformat '%{VERSION}' $package)\" = \"\$(packaging/version version)\" ]"
ask -qp --requires "$package" > "$scratch/requires"
check "it needs the libraries of the program" \
    "grep -q '^libnftables.so.1' $scratch/requires && grep -q '^libnetfilter_conntrack.so.3' $scratch/requires"
check "and nothing of Swift" "! grep -i swift $scratch/requires"
mkdir "$scratch/root"
cp "$package" "$scratch/package.rpm"
rpm2archive "$scratch/package.rpm" && tar -xzf "$scratch/package.rpm.tgz" -C "$scratch/root"
check "its program runs: $("$scratch/root/usr/sbin/ct_sync" --version)" \
    "$scratch/root/usr/sbin/ct_sync --help > /dev/null"
[ "$failures" -eq 0 ]
