#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the tarball below a root of its own, with and without a prefix; the pieces name the places
# where they are; removes it, and nothing is left but the configuration.
#
#   Tests/packaging/tarball.sh [DIRECTORY_OF_THE_TARBALL]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_package "${1:-.build/tarball}" "ct_sync-*.tar.xz"
scratch=$(mktemp -d /tmp/ct_sync-tarball-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
tar -xJf "$package" -C "$scratch"
unpacked=$(echo "$scratch"/ct_sync-*)
check "it is one directory with a script in it" "[ -x $unpacked/install.sh ] && [ -f $unpacked/LICENSE ]"
check "and the documents" "[ -f $unpacked/README.md ] && [ -f $unpacked/docs/operating.md ]"

for prefix in /usr/local /opt/ct_sync; do
    root=$scratch/root$prefix
    mkdir -p "$root"
    if [ "$prefix" = /usr/local ]; then
        "$unpacked/install.sh" --destdir "$root" > "$scratch/words" 2>&1
    else
        "$unpacked/install.sh" --destdir "$root" --prefix "$prefix" > "$scratch/words" 2>&1
    fi
    check "installed below $prefix" "[ $? -eq 0 ]"
    check "its program runs: $("$root$prefix/sbin/ct_sync" --version)" \
        "$root$prefix/sbin/ct_sync --help > /dev/null"
    check "the unit starts it" \
        "grep -q '^ExecStart=$prefix/sbin/ct_sync ' $root$prefix/lib/systemd/system/ct_sync.service"
    grep -rnE '/usr/(sbin|lib/ct_sync)/' "$root" -I --exclude='*.md' > "$scratch/strangers"
    check "no piece names another place" "[ ! -s $scratch/strangers ] || ! cat $scratch/strangers"
    check "scripts can be run" "[ -x $root$prefix/lib/ct_sync/ct_sync-primary-backup ] \
        && [ -x $root$prefix/sbin/ct_sync-role ] && [ -x $root/usr/lib/ocf/resource.d/ct_sync/ct_sync ]"
    echo '# of the administrator' > "$root/etc/ct_sync.conf"
    "$unpacked/install.sh" --destdir "$root" --prefix "$prefix" > "$scratch/words" 2>&1
    check "installed again, the configuration stays" "grep -q administrator $root/etc/ct_sync.conf"
    check "no daemon runs, so none is to be restarted" \
        "! grep -q restart $scratch/words && grep -q 'systemctl enable --now ct_sync' $scratch/words"
    # The script's own words.
    # shellcheck disable=SC2016
    unshare --net sh -c 'ip link set lo up && ip link add sync0 type veth peer name sync1 && ip link set sync0 up \
        && ip link set sync1 up && exec "$0" --syncdev sync0 --id 1 --l2drop 0 --control-file "$1"' \
        "$root$prefix/sbin/ct_sync" "$scratch/state" 2> "$scratch/daemon" &
    daemon=$!
    check "a daemon runs" "within 10 [ -e $scratch/state ]"
    "$unpacked/install.sh" --destdir "$root" --prefix "$prefix" > "$scratch/words" 2>&1
    check "installed over it, a restart is asked for: $(cat "$scratch/words")" \
        "[ \$(grep -c . $scratch/words) -eq 1 ] && grep -q ': $prefix/lib/ct_sync/ct_sync-restart$' $scratch/words \
            && [ -x $root$prefix/lib/ct_sync/ct_sync-restart ]"
    kill "$daemon"
    wait "$daemon"
    "$unpacked/install.sh" --destdir "$root" --prefix "$prefix" --remove
    check "removed, only the configuration is left" \
        "[ \"\$(cd $root && find . -type f -o -type l | sort | tr '\n' ' ')\" \
            = './etc/ct_sync.conf ./etc/logrotate.d/ct_sync-flows ' ]"
    check "and no directory of its own" "! find $root -type d -name 'ct[_-]sync' -path '*/lib/*' \
        -o -type d -path '*/share/doc/ct-sync*' | grep ."
done
"$unpacked/install.sh" --nonsense 2> "$scratch/words"
check "a wrong flag: 64" "[ $? -eq 64 ] && grep -q '^usage' $scratch/words"
[ "$failures" -eq 0 ]
