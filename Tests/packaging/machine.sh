# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the tests that need a machine that systemd runs; read by them after Tests/checks.sh, with the path of
# a package in $package. It starts the machine and leaves these: inside, property, status_says, warnings,
# conclude.
#
# The machine is this one seen through an overlay: systemd is process 1 of namespaces of its own and
# has control groups below a new one. Its sync0 and lan0 lead to a network namespace, where another
# ct_sync is the master once peer.service runs. All of it goes with its process 1.

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
. Tests/machine.sh
cp "$package" "$root/run/package.deb"

# A master on the other end of the wires.
cat > "$root/run/systemd/system/peer.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/ip netns exec peer /usr/sbin/ct_sync --syncdev sync1 --id 2 --state master \
    --l2drop 0 --control-file /run/peer/state
UNIT
chroot "$root" sh -e -c '
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
boot
END

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

inside() {
    nsenter --target "$machine" --all --root \
        env --ignore-environment --chdir=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
property() {
    inside systemctl show --value --property="$1" "${2:-ct_sync}"
}
status_says() {
    property StatusText "${2:-ct_sync}" | grep -qi "$1"
}
# What both daemons warned of, but for what follows when one of them stops, or has no processor for a while.
warnings() {
    inside journalctl --no-pager --output=cat --priority=warning _COMM=ct_sync | grep -vE \
        'gave way|above ours|MASTER, ALONE|SLAVE, NOT IN SYNC|is (silent|not in sync)$|may lack what other'
}
# The last line of a test: whether all was well, and if not, what the machine said.
conclude() {
    [ "$failures" -gt 0 ] || return 0
    inside journalctl --no-pager --lines=80
    cat "$scratch/console"
    return 1
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
