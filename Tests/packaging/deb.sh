#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the Debian package into a clean root, runs the program from there, removes it, and shows
# that nothing is left. As root; "make deb" has built the package.
#
#   Tests/packaging/deb.sh [DIRECTORY_OF_THE_PACKAGE]
#
# The clean root has a package database of its own, in which the libraries that the package depends
# on stand as installed; their files are taken from this machine.

set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_package "${1:-.build/deb}" "ct-sync_*.deb"
root=$(mktemp -d /tmp/ct_sync-root-XXXXXX)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM HUP
chmod 755 "$root"

# The first one ends it.
fail() {
    echo "FAIL  $*"
    exit 1
}

dpkg-deb --info "$package" | sed -n '/^ Package/,$p'
dpkg-deb --field "$package" Depends | grep -q 'libnetfilter-conntrack3.*' || fail "no Depends"
dpkg-deb --fsys-tarfile "$package" | tar -xO ./usr/sbin/ct_sync > "$root/program"
glibc=$(dpkg-deb --field "$package" Depends | sed -n 's/.*libc6 (>= \([0-9.]*\)).*/\1/p')
if readelf --version-info "$root/program" | grep -q GLIBC_ABI_DT_RELR; then
    dpkg --compare-versions "$glibc" ge 2.36 \
        || fail "its relocations are packed, and it asks for glibc $glibc only"
fi
rm "$root/program"
contents=$(dpkg-deb --contents "$package")
for file in usr/sbin/ct_sync usr/sbin/ct_sync-role usr/lib/ct_sync/ct_sync-notify \
    usr/lib/ct_sync/ct_sync-notify-fifo etc/ct_sync.conf \
    lib/systemd/system/ct_sync.service lib/systemd/system/ct_sync@.service \
    lib/systemd/system/ct_sync-dark.service \
    lib/systemd/system/ct_sync-flows.service etc/logrotate.d/ct_sync-flows \
    lib/systemd/system/ct_sync-metrics.service lib/systemd/system/ct_sync-metrics.timer \
    lib/systemd/system/ct_sync-exporter.service usr/lib/ct_sync/ct_sync-exporter \
    usr/share/doc/ct-sync/docs/monitoring.md usr/share/doc/ct-sync/examples/alerts.yml \
    usr/share/doc/ct-sync/examples/grafana.json \
    usr/share/doc/ct-sync/examples/ansible/ct_sync/tasks/main.yml \
    usr/lib/sysctl.d/50-ct_sync.conf usr/lib/tmpfiles.d/ct_sync.conf \
    usr/lib/modules-load.d/ct_sync.conf usr/lib/sysusers.d/ct_sync.conf \
    usr/lib/ct_sync/ct_sync-primary-backup usr/lib/ct_sync/ct_sync-restart usr/lib/ocf/resource.d/ct_sync/ct_sync \
    usr/share/man/man8/ct_sync.8.gz usr/share/man/man8/ct_sync-role.8.gz \
    usr/share/man/man5/ct_sync-status.5.gz \
    usr/share/man/man5/ct_sync.conf.5.gz usr/share/doc/ct-sync/copyright \
    usr/share/bash-completion/completions/ct_sync usr/share/zsh/vendor-completions/_ct_sync \
    usr/share/fish/vendor_completions.d/ct_sync.fish \
    usr/share/doc/ct-sync/changelog.gz usr/share/doc/ct-sync/CHANGELOG.md \
    usr/share/doc/ct-sync/docs/migration.md; do
    echo "$contents" | grep " \./$file$" > /dev/null || fail "the package lacks /$file"
done
echo "$contents" | awk '$2 != "root/root" { exit 1 }' || fail "files of other owners"

# The clean root: a database, the libraries, a shell for the package's scripts.
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/log" "$root/proc" \
    "$root/tmp" "$root/etc" "$root/run" "$root/bin" "$root/usr/bin" "$root/dev"
for name in $(dpkg-deb --field "$package" Depends | sed 's/([^)]*)//g; s/[,|]/ /g'); do
    dpkg-query --show --showformat='Package: ${Package}
Status: install ok installed
Maintainer: this test
Architecture: ${Architecture}
Multi-Arch: same
Version: ${Version}
Description: its files are copied

' "$name"
    echo /. > "$root/var/lib/dpkg/info/$name:$(dpkg --print-architecture).list"
done > "$root/var/lib/dpkg/status"
# As on every system, the directory is somebody else's too.
echo clean > "$root/etc/hostname"
echo root:x:0:0:root:/root:/bin/sh > "$root/etc/passwd"
echo root:x:0: > "$root/etc/group"
: > "$root/etc/gshadow"
mknod -m 666 "$root/dev/null" c 1 3
for program in /bin/sh /bin/ls /bin/rm /usr/bin/getent /usr/sbin/groupadd usr/sbin/ct_sync; do
    case $program in
        /*) file=$program ;;
        *)
            dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$root/tmp" ./usr/sbin/ct_sync
            file=$root/tmp/usr/sbin/ct_sync
            ;;
    esac
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
    case $program in
        /*)
            mkdir -p "$root${program%/*}"
            cp -L "$program" "$root$program"
            ;;
    esac
done
rm -rf "$root/tmp/usr"
# Nothing of Swift: the runtime is inside the program.
if find "$root" -name 'libswift*' | grep .; then fail "it needs Swift's libraries"; fi

# Without /proc the program refuses to run; see CommandLineTests.
inside() {
    # The script's own words.
    # shellcheck disable=SC2016
    unshare --mount sh -c 'mount --rbind /proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@"
}

# But for the files that groupadd keeps: the group stays.
listing() {
    (cd "$root" && find . -path ./var/lib/dpkg -prune -o -path ./var/log -prune -o -print \
        | grep -vxE '\./etc/(group|gshadow)-|\./etc/\.pwd\.lock' | sort)
}

listing > "$root.before"
trap 'rm -rf "$root" "$root.before" "$root.after"' EXIT

dpkg --root="$root" --install "$package"
dpkg --root="$root" --status ct-sync | grep -q '^Status: install ok installed' \
    || fail "it is not installed"
echo "--- its files"
dpkg --root="$root" --listfiles ct-sync | while read -r file; do
    [ ! -d "$root$file" ] && echo "$file"
done
dpkg --root="$root" --verify ct-sync | grep . && fail "files differ from the package's"
grep -q '^ct_sync:' "$root/etc/group" || fail "there is no group ct_sync"
size=$(stat -c %s "$root/usr/sbin/ct_sync")
echo "--- it runs, and has $size bytes"
[ "$size" -lt 17000000 ] || fail "the program has $size bytes, more than 17 MB"
words=$(inside /usr/sbin/ct_sync --version)
echo "$words"
case $words in
    "ct_sync $(packaging/version version) (commit "*", wire "*) ;;
    *) fail "--version names no commit" ;;
esac
inside /usr/sbin/ct_sync --help > /dev/null
status=0
inside /usr/sbin/ct_sync status || status=$?
[ "$status" -eq 2 ] || fail "status without a daemon is $status, not 2"

echo "--- removed: the configuration stays"
dpkg --root="$root" --remove ct-sync
[ -e "$root/etc/ct_sync.conf" ] || fail "the configuration is gone"
echo "--- purged"
dpkg --root="$root" --purge ct-sync
listing > "$root.after"
diff "$root.before" "$root.after" || fail "it leaves something behind, or took something"
echo "ok    nothing is left"
