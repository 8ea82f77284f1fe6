#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the scripts of the RPM package: installs, upgrades and erases it on a machine that systemd runs, and in a
# root without a service manager. As root; "make rpm" has staged what the package is made of, and built it. The
# version before is the same with a lower number. The libraries are Debian's, which rpm's database does not know:
# --nodeps.
#
#   Tests/packaging/rpm-scripts.sh [STAGED_ROOT [DIRECTORY_OF_THE_PACKAGE]]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
need rpm rpmbuild
staged=${1:-.build/staged}
[ -x "$staged/usr/sbin/ct_sync" ] || { echo "nothing is staged in $staged" >&2; exit 1; }
packages=$(mktemp -d /tmp/ct_sync-packages-XXXXXX)
trap 'rm -rf "$packages"' EXIT
trap 'exit 1' INT TERM HUP
CT_SYNC_PACKAGE_VERSION=0.0.1 packaging/build-rpm "$staged" "$packages" > "$packages/words" 2>&1 \
    || { cat "$packages/words"; exit 1; }
take_package "$packages" "ct-sync-*.rpm"
before=$package
take_package "${2:-.build/rpm}" "ct-sync-*.rpm"
# shellcheck source=Tests/packaging/machine.sh
. Tests/packaging/machine.sh
trap 'cleanup; rm -rf "$packages"' EXIT
evidence=$scratch/words

pack() { inside rpm --force-debian --nodeps --dbpath /run/rpm "$@" > "$scratch/words" 2>&1; }
# A script that fails costs at most a warning.
quiet() { ! grep . "$scratch/words"; }
role_is() { [ "$(inside cat /run/ct_sync/state)" = "$1" ]; }
peer_is() { [ "$(inside cat /run/peer/state)" = "$1" ]; }
version_is() { [ "$(inside rpm --force-debian --dbpath /run/rpm -q --queryformat '%{VERSION}' ct-sync)" = "$1" ]; }
links() { inside find /etc/systemd/system -type l -name 'ct_sync*'; }
# What the package itself has put anywhere, and what it and its units have left.
left() {
    inside sh -c 'find / -xdev \( -name "ct_sync*" -o -name "ct-sync*" \) ! -path "/tmp/*" 2> /dev/null
        ls -d /run/ct_sync* 2> /dev/null' | grep -vE '^(/work|/root|/home|/var/cache)/'
}

inside sh -c 'cat > /run/before.rpm' < "$before"
inside sh -c 'cat > /run/new.rpm' < "$package"
# This machine's own, of other tests.
inside sh -c 'getent group ct_sync > /dev/null && groupdel ct_sync'
left | sort > "$scratch/before"

check "0.0.1 is installed" "pack -i /run/before.rpm && version_is 0.0.1"
check "its scripts say nothing" quiet
check "the group is made" "inside getent group ct_sync > /dev/null"
check "the service manager knows it, and nothing of it runs or is enabled" \
    "[ \"\$(property LoadState)\" = loaded ] && [ \"\$(property ActiveState)\" = inactive ] \
        && [ \"\$(property UnitFileState)\" != enabled ]"

inside sh -c 'echo "options ct_sync syncdev=sync0 id=1 l2drop=1" > /etc/ct_sync.conf
    sed -i s/--state\ master/--state\ slave/ /run/systemd/system/peer.service
    mkdir -p /var/lib/prometheus/node-exporter
    systemctl daemon-reload
    mkdir /etc/ct_sync
    echo "options ct_sync syncdev=sync0 id=1 port=3782" > /etc/ct_sync/east.conf
    systemctl --quiet enable --now ct_sync ct_sync@east ct_sync-dark ct_sync-exporter ct_sync-flows ct_sync-metrics.timer
    systemctl --quiet enable ct_sync@west
    systemctl start peer.service ct_sync-metrics
    echo 1 > /run/ct_sync/state; echo 1 > /run/ct_sync-east/state'
check "0.0.1 is master, the other node slave" "within 5 role_is master && within 5 peer_is slave"
check "all units are enabled, and an instance that never ran" "[ \$(links | wc -l) -eq 7 ]"
pid=$(property MainPID)
exporter=$(property MainPID ct_sync-exporter)
check "it is upgraded" "pack -U /run/new.rpm && version_is $(packaging/version version)"
check "the scripts of both say nothing" quiet
check "another process runs, enabled as before" \
    "[ \"\$(property MainPID)\" -gt 0 ] && [ \"\$(property MainPID)\" != $pid ] \
        && [ \"\$(property UnitFileState)\" = enabled ]"
check "it is master, at once" "role_is master"
check "so is an instance" "inside grep -q master /run/ct_sync-east/state"
check "another exporter runs" \
    "[ \"\$(property MainPID ct_sync-exporter)\" -gt 0 ] && [ \"\$(property MainPID ct_sync-exporter)\" != $exporter ]"
check "the configuration is the administrator's" "inside grep -q '^options ct_sync syncdev=sync0' /etc/ct_sync.conf"
inside sh -c 'echo 1 > /run/peer/state'
check "the other node takes over" "within 5 role_is slave && peer_is master"
pid=$(property MainPID)
check "upgraded as slave, another process runs" \
    "pack -U --force /run/new.rpm && [ \"\$(property MainPID)\" -gt 0 ] && [ \"\$(property MainPID)\" != $pid ]"
check "it is slave, and dark" "role_is slave && inside ct_sync l2drop status | grep -q 'on, by'"

check "it is erased" "pack -e ct-sync"
check "that the node is still dark is said, with the way out" \
    "grep -q 'this node stays dark' $scratch/words && grep -q 'ct_sync l2drop off' $scratch/words"
check "and nothing else" "! grep -vE '^ct-sync: |saved as /etc/ct_sync.conf.rpmsave' $scratch/words"
check "nothing of it runs" "! inside systemctl --plain --no-legend list-units --state=active 'ct_sync*' | grep ct_sync"
check "nobody takes its last metrics for new ones" \
    "! inside test -e /var/lib/prometheus/node-exporter/ct_sync.prom"
check "the configuration stays, as rpm keeps it" "inside test -e /etc/ct_sync.conf.rpmsave"
check "the group stays" "inside getent group ct_sync > /dev/null"
check "no unit stays enabled: $(links | tr '\n' ' ')" "[ -z \"\$(links)\" ]"
inside rm -rf /etc/ct_sync.conf.rpmsave /etc/ct_sync /var/log/ct_sync /var/log/private/ct_sync
left | sort > "$scratch/after"
check "nothing else is left: $(comm -13 "$scratch/before" "$scratch/after" | tr '\n' ' ')" \
    "cmp $scratch/before $scratch/after"

# A root that no service manager runs, as an image is built: this machine's files below an empty upper layer, in
# which all that changes is seen. /run is empty.
mkdir "$scratch/bare"
cat > "$scratch/bare/run" <<'END'
set -e
cd "$1"
mount --make-rprivate /
mkdir layers root
mount -t tmpfs tmpfs layers
mkdir layers/upper layers/work
mount -t overlay -o lowerdir=/,upperdir=layers/upper,workdir=layers/work overlay root
mount -t proc proc root/proc
mount -t tmpfs tmpfs root/run
cp "$2" root/run/package.rpm
bare() { chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
bare sh -c 'getent group ct_sync > /dev/null && groupdel ct_sync' || :
cp -a layers/upper upper.before
bare rpm --force-debian --nodeps --dbpath /run/rpm -i /run/package.rpm
bare getent group ct_sync > /dev/null
bare ct_sync --version > version
grep -q '^ct_sync ' version
[ ! -e root/run/ct_sync ]
bare rpm --force-debian --nodeps --dbpath /run/rpm -e ct-sync
# A file that was deleted is a device there.
(cd layers/upper && find . ! -type d ! -name 'group*' ! -name 'gshadow*' ! -name .pwd.lock | sort) > after
(cd upper.before && find . ! -type d ! -name 'group*' ! -name 'gshadow*' ! -name .pwd.lock | sort) | diff - after
END
check "without a service manager: installed, run, erased, and nothing is left" \
    "unshare --mount sh $scratch/bare/run $scratch/bare $package > $scratch/words 2>&1 && quiet"
conclude
