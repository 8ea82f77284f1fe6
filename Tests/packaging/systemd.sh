#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the Debian package on a machine that systemd runs, and drives its units there: readiness and
# status, both backends of l2drop under the units' rights, the watchdog, kill and stop, an instance. As
# root; "make deb" has built the package.
#
#   Tests/packaging/systemd.sh [DIRECTORY_OF_THE_PACKAGE]
#
# The machine is this one seen through an overlay: systemd is process 1 of namespaces of its own and
# has control groups below a new one. Its sync0 and lan0 lead to a network namespace, where another
# ct_sync is the master. All of it goes with its process 1.

set -u
cd "$(dirname "$0")/../.." || exit 1
directory=${1:-.build/deb}
set -- "$directory"/ct-sync_*.deb
if [ $# -ne 1 ] || [ ! -e "$1" ]; then
    echo "not one package in $directory" >&2
    exit 1
fi
package=$(readlink -f "$1")
init=/lib/systemd/systemd
[ -x "$init" ] || { echo "$init is missing (package systemd)" >&2; exit 1; }

scratch=$(mktemp -d /tmp/ct_sync-systemd-XXXXXX)
group=${scratch##*/}
machine=
starter=
# The hierarchies that systemd uses, each with the mount options of this machine's; a thread of
# cpuset has to be given processors first, and needs none here.
awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd|devices|memory|pids/) \
    { print $3, $2, $4 }' /proc/mounts > "$scratch/hierarchies"
cleanup() {
    [ -z "$machine" ] || kill -9 "$machine" 2> /dev/null
    [ -z "$starter" ] || wait "$starter" 2> /dev/null
    while read -r _ place _; do
        [ -d "$place/$group" ] || continue
        # Its last processes may still be ending.
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            find "$place/$group" -depth -type d -exec rmdir {} + 2> /dev/null && break
            sleep 0.2
        done
    done < "$scratch/hierarchies"
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

cat > "$scratch/setup" <<'END'
set -e
scratch=$1
package=$2
root=$scratch/root
mount --make-rprivate /
mkdir "$root" "$scratch/overlay"
mount -t tmpfs tmpfs "$scratch/overlay"
mkdir "$scratch/overlay/upper" "$scratch/overlay/work"
mount -t overlay -o "lowerdir=/,upperdir=$scratch/overlay/upper,workdir=$scratch/overlay/work" \
    overlay "$root"
mount -t proc proc "$root/proc"
# What belongs to all namespaces stays as it is.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
grep -q ' /sys/fs/cgroup$' "$scratch/places" || mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
while read -r kind place options; do
    mkdir -p "$root$place"
    case $kind in
        cgroup2) mount -t cgroup2 cgroup2 "$root$place" ;;
        *)
            options=$(echo "$options" | tr , '\n' \
                | grep -xE 'name=.*|xattr|devices|memory|pids' | paste -sd, -)
            case $options in *name=*) options=none,$options ;; esac
            mount -t cgroup -o "$options" cgroup "$root$place"
            ;;
    esac
done < "$scratch/hierarchies"
for place in run tmp dev var/log var/tmp; do mount -t tmpfs tmpfs "$root/$place"; done
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/netns" "$root/run/systemd" \
    "$root/run/systemd/system"
cp "$package" "$root/run/package.deb"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"

# Nothing of this machine's but the journal; a master on the other end of the wires.
cat > "$root/run/systemd/system/test.target" <<UNIT
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service
UNIT
cat > "$root/run/systemd/system/peer.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/ip netns exec peer /usr/sbin/ct_sync --syncdev sync1 --id 2 --state master \
    --l2drop 0 --control-file /run/peer/state
UNIT
rm -rf "$root/etc/ct_sync.conf" "$root/etc/ct_sync"
chroot "$root" sh -e -c '
    ip link set lo up
    ip netns add peer
    for pair in sync lan; do
        ip link add ${pair}0 type veth peer name ${pair}1 netns peer
        ip link set ${pair}0 up
        ip -n peer link set ${pair}1 up
    done
    ip addr add 172.31.255.1/24 dev sync0
    ip -n peer addr add 172.31.255.2/24 dev sync1
    ip addr add 10.1.0.1/24 dev lan0
    ip -n peer addr add 10.1.0.2/24 dev lan1'
exec chroot "$root" env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=test.target --log-target=journal --show-status=no
END
awk '{ print "", $2 }' "$scratch/hierarchies" > "$scratch/places"

# A subshell, so that this one stays out of the group.
(
    own=$(exec sh -c 'echo $PPID')
    while read -r _ place _; do
        mkdir "$place/$group" && echo "$own" > "$place/$group/cgroup.procs" || exit 1
    done < "$scratch/hierarchies"
    exec unshare --pid --fork --kill-child=KILL --mount --net --uts --ipc --cgroup \
        sh "$scratch/setup" "$scratch" "$package"
) < /dev/null > "$scratch/console" 2>&1 &
starter=$!

failures=0
check() {
    if eval "$2"; then
        echo "ok    $1"
    else
        echo "FAIL  $1"
        failures=$((failures + 1))
    fi
}
# Waits up to some seconds.
within() {
    tries=$(($1 * 10))
    shift
    until eval "$*"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
inside() {
    nsenter --target "$machine" --all --root \
        env --ignore-environment --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
property() {
    inside systemctl show --value --property="$1" "${2:-ct_sync}"
}
status_says() {
    property StatusText "${2:-ct_sync}" | grep -q "$1"
}
# Whether the other end of lan0 gets an answer to its ARP request.
answers() {
    inside ip netns exec peer bash -c 'ip neigh flush dev lan1; ip neigh del 10.1.0.1 dev lan1
        echo > /dev/udp/10.1.0.1/9; sleep 0.3
        ip neigh show dev lan1 | grep -q "^10.1.0.1 lladdr"' 2> /dev/null
}
is_dark() {
    inside ct_sync l2drop status | grep -q "on, by $1" && ! answers
}
is_open() {
    [ "$(inside ct_sync l2drop status)" = "l2drop is off" ] && answers
}
configure() {
    inside sh -c "echo 'options ct_sync syncdev=sync0 id=1 l2drop=1 $1' > /etc/ct_sync.conf"
}
# The role is given by the control file, as a cluster manager does.
order() {
    inside sh -c "echo $1 > /run/ct_sync/state"
}

find_machine() {
    machine=$(cat "/proc/$starter/task/$starter/children" 2> /dev/null)
    machine=${machine% }
    # Until then it prepares.
    [ -n "$machine" ] && [ "$(cat "/proc/$machine/comm" 2> /dev/null)" = systemd ]
}
if ! within 10 find_machine \
    || ! within 20 'inside systemctl is-active --quiet test.target 2> /dev/null'; then
    echo "FAIL  systemd does not start here:"
    cat "$scratch/console"
    exit 1
fi
inside dpkg --install /run/package.deb > "$scratch/words" 2>&1 || { cat "$scratch/words"; exit 1; }
check "the package is installed, nothing runs" "[ \"\$(property ActiveState)\" = inactive ]"
configure ""
inside systemctl start peer.service

began=$(date +%s%N)
check "it starts" "inside systemctl start ct_sync"
echo "      ready after $((($(date +%s%N) - began) / 1000000)) ms"
check "it is ready, as slave" "[ \"\$(property SubState)\" = running ] && status_says ^slave"
check "the node is dark, by netdev" "is_dark netdev"
check "it hears the master: $(within 10 status_says "'in sync\$'"; property StatusText)" \
    "status_says '^slave of node 2, in sync$'"
order 1
check "master, says its status" "within 5 status_says ^master && is_open"
check "the old master gives way" \
    "within 5 'inside ct_sync status --control-file /run/peer/state | grep -q slave'"

# The watchdog: 10 seconds in the unit.
pid=$(property MainPID)
began=$(date +%s)
kill_inside() { inside sh -c "kill -$1 $(property MainPID)"; }
kill_inside STOP
check "one that stands still is started again" \
    "within 40 '[ \"\$(property NRestarts)\" = 1 ] && [ \"\$(property MainPID)\" != $pid ]'"
echo "      after $(($(date +%s) - began)) s"
check "it is master again" "within 5 status_says ^master && is_open"
order 0
check "slave, says its status" "within 5 status_says ^slave && is_dark netdev"
kill_inside KILL
check "killed, the node stays dark" "is_dark netdev"
check "and it is a slave again" \
    "within 10 '[ \"\$(property NRestarts)\" = 2 ]' && within 10 status_says ^slave && is_dark netdev"

began=$(date +%s%N)
check "it stops" "inside systemctl stop ct_sync"
echo "      after $((($(date +%s%N) - began) / 1000000)) ms"
check "in order" "[ \"\$(property Result)\" = success ] && [ \"\$(property ActiveState)\" = inactive ]"
check "its directory is gone" "! inside test -e /run/ct_sync/state"
check "the node stays dark" "is_dark netdev"

configure "l2drop-backend=tables l2drop-on-exit=open"
check "it starts with the other backend" "inside systemctl start ct_sync && status_says ^slave"
check "the node is dark, by tables" "is_dark tables && ! inside ct_sync l2drop status | grep netdev"
order 1
check "master" "within 5 status_says ^master && within 2 is_open"
order 0
check "slave" "within 5 status_says ^slave && is_dark tables"
check "it stops and opens" "inside systemctl stop ct_sync && is_open"
check "it warned of nothing but what was done to it" \
    "! inside journalctl --no-pager --output=cat --priority=warning _COMM=ct_sync | tee $scratch/words \
        | grep -v 'gave way' | grep ."
check "its words are in the journal, with priorities" \
    "inside journalctl --no-pager --priority=notice _COMM=ct_sync | grep -q 'master, epoch'"

# A group of its own.
inside sh -c 'mkdir /etc/ct_sync
    echo "options ct_sync syncdev=sync0 id=1 port=3782" > /etc/ct_sync/east.conf'
check "an instance starts beside it" "inside systemctl start ct_sync ct_sync@east"
check "with a control file of its own" \
    "[ \"\$(inside cat /run/ct_sync-east/state)\" = slave ] && inside test -e /run/ct_sync/state"
check "and a status" "status_says ^slave ct_sync@east"
inside sh -c 'echo 1 > /run/ct_sync-east/state'
check "it is master alone" \
    "within 5 status_says ^master ct_sync@east && status_says ^slave && is_dark tables"
check "it stops alone" \
    "inside systemctl stop ct_sync@east && [ \"\$(property ActiveState)\" = active ]"
inside sh -c 'echo "options ct_sync syncdev=sync0 id=256" > /etc/ct_sync.conf'
check "a wrong setting is said" "! inside systemctl restart ct_sync 2> /dev/null \
    && inside journalctl --no-pager _COMM=ct_sync | grep -q 256"
check "and does not start again" \
    "within 5 '[ \"\$(property ActiveState)\" = failed ]' && [ \"\$(property NRestarts)\" = 0 ]"
inside sh -c 'echo "options ct_sync syncdev=absent0" > /etc/ct_sync.conf'
check "a device that may come is waited for" "! inside systemctl restart ct_sync 2> /dev/null \
    && within 10 '[ \"\$(property NRestarts)\" -ge 2 ]'"
check "as an error of the journal, once for each start" \
    "inside journalctl --no-pager --output=cat --priority=err _COMM=ct_sync | grep -q '^syncdev .absent0'"
inside systemctl stop ct_sync
check "the node is open" "inside ct_sync l2drop off > /dev/null && is_open"
check "the package is removed" \
    "inside dpkg --purge ct-sync > $scratch/words 2>&1 && ! inside systemctl cat ct_sync 2> /dev/null"
if [ "$failures" -gt 0 ]; then
    inside journalctl --no-pager --lines=80
    cat "$scratch/console"
fi
[ "$failures" -eq 0 ]
