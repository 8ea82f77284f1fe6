#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs every action of the Pacemaker agent against a real daemon, in a network namespace of its own;
# then ocf-tester as well, where the package resource-agents is installed.
#
# As root:  Tests/managers/ocf-agent.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
agent=$PWD/conf/pacemaker/ct_sync

if [ -z "${OCF_TEST_INSIDE-}" ]; then
    OCF_TEST_INSIDE=1 exec unshare --net "$0" "$binary"
fi

scratch=$(mktemp -d /tmp/ct_sync-ocf-XXXXXX)
export OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=
export HA_LOGFILE="$scratch/log" HA_DEBUGLOG="$scratch/log"
export OCF_RESKEY_binary="$binary" OCF_RESKEY_config="$scratch/ct_sync.conf"
export OCF_RESKEY_control_file="$scratch/run/state"

cleanup() {
    "$agent" stop >/dev/null 2>&1
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ip link set lo up
ip link add sync0 type veth peer name peer0
ip addr add 172.31.255.1/24 dev sync0
ip link set sync0 up
ip link set peer0 up
echo 'options ct_sync syncdev=sync0 id=1' > "$OCF_RESKEY_config"

# expect STATUS ACTION [WHAT]
expect() {
    "$agent" "$2" > "$scratch/output" 2>&1
    got=$?
    if [ "$got" -eq "$1" ]; then
        echo "ok    $2 -> $got ${3-}"
    else
        fail "$2 -> $got, not $1 ${3-}"
        sed 's/^/      /' "$scratch/output"
    fi
}

# The daemon's; the lock's second line is the epoch.
pid() { head -n 1 "$OCF_RESKEY_control_file.lock"; }

holds() {
    if [ "$(cat "$OCF_RESKEY_control_file" 2>/dev/null)" = "$1" ]; then
        echo "ok    the control file says ${1:-nothing}"
    else
        fail "the control file does not say $1"
    fi
}

expect 0 meta-data
if command -v xmllint >/dev/null; then
    "$agent" meta-data | xmllint --noout - || failures=$((failures + 1))
fi
expect 0 validate-all
expect 7 monitor "nothing runs"
expect 7 promote "nothing runs"
expect 0 stop "nothing to stop"
expect 0 start
expect 0 start "once more"
expect 0 monitor "slave"
holds slave
expect 0 notify
expect 0 demote "a slave"
expect 0 promote
expect 8 monitor "master"
holds master
expect 0 promote "a master"
expect 0 demote
expect 0 monitor "slave"
holds slave
expect 0 promote

kill -STOP "$(pid)"
expect 1 monitor "a daemon that hangs"
kill -CONT "$(pid)"
expect 8 monitor "it goes on"

kill -KILL "$(pid)"
sleep 0.2
expect 7 monitor "killed"
holds master
expect 0 start "after a kill"
expect 0 monitor "slave, not what the dead one was"
for turn in 1 2 3 4 5; do
    expect 0 promote
    kill -KILL "$(pid)"
    expect 0 start "at once after a kill, $turn"
    expect 0 monitor "slave"
done
# While the agent takes it for alive, or later, when it has had its answer.
for delay in 0.004 0.006 0.008 0.010 0.015; do
    { sleep "$delay"; kill -KILL "$(pid)"; } &
    expect 0 start "killed after $delay s"
    wait
    expect 0 start "and once more"
    expect 0 monitor "slave"
done
expect 0 stop
expect 7 monitor
if [ -e "$OCF_RESKEY_control_file" ]; then
    fail "the control file is left behind"
fi
expect 3 migrate_to "unknown action"
OCF_RESKEY_binary=/nowhere/ct_sync expect 5 validate-all "no program"
OCF_RESKEY_config=/nowhere/ct_sync.conf expect 5 validate-all "no configuration"
OCF_RESKEY_control_file=state expect 6 validate-all "no path"
echo 'options ct_sync syncdev=absent0 id=1' > "$OCF_RESKEY_config"
expect 1 start "a device that is not there"
echo 'options ct_sync syncdev=sync0 id=1' > "$OCF_RESKEY_config"

if command -v ocf-tester >/dev/null && command -v xmllint >/dev/null && [ -r "$OCF_ROOT/lib/heartbeat/ocf-shellfuncs" ]; then
    if ocf-tester -n ct_sync -o binary="$binary" -o config="$OCF_RESKEY_config" \
        -o control_file="$OCF_RESKEY_control_file" "$agent" > "$scratch/tester" 2>&1; then
        echo "ok    ocf-tester"
    else
        fail "ocf-tester"
        sed 's/^/      /' "$scratch/tester"
    fi
else
    echo "      ocf-tester is not installed (packages resource-agents, libxml2-utils)"
fi

[ "$failures" -eq 0 ] && echo "all actions as they should be"
[ "$failures" -eq 0 ]
