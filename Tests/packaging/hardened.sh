#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs the daemon with the rights that its systemd unit leaves it, as master and as slave, without a
# running systemd: the unit's capabilities, no new privileges, /proc/sys read-only but for
# net/netfilter, and the system calls it makes held against the unit's filter. As root, with strace.
#
#   Tests/packaging/hardened.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
need strace setpriv systemd-analyze conntrack
if [ -z "${HARDENED_INSIDE-}" ]; then
    HARDENED_INSIDE=1 exec unshare --net --mount "$0" "$binary"
fi

unit=conf/systemd/ct_sync.service
scratch=$(mktemp -d /tmp/ct_sync-hardened-XXXXXX)
daemon=
tracer=
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2> /dev/null
    [ -z "$tracer" ] || wait "$tracer"
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
evidence="$scratch/log"

ip link set lo up
ip link add sync0 type veth peer name peer0
ip addr add 172.31.255.1/24 dev sync0
ip link set sync0 up
ip link set peer0 up
echo 2 > /proc/sys/net/netfilter/nf_conntrack_events
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net/netfilter /proc/sys/net/netfilter
mount -o remount,bind,ro /proc/sys

capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" \
    | sed 's/CAP_/+/g; s/ /,/g' | tr '[:upper:]' '[:lower:]')
control_file=$scratch/run/state
strace --follow-forks --output="$scratch/trace" \
    setpriv --bounding-set="-all,$capabilities" --inh-caps=-all --no-new-privs \
    "$binary" --syncdev sync0 --id 1 --state slave --control-file "$control_file" \
    2> "$scratch/log" &
tracer=$!
says() { [ "$(cat "$control_file" 2> /dev/null)" = "$1" ]; }
holds() { within 10 says "$1"; }
check "it starts as slave" "holds slave"
daemon=$(head -n 1 "$control_file.lock")
check "it has these capabilities only: $capabilities" \
    "[ \"\$(grep CapEff /proc/$daemon/status)\" = \"\$(grep CapBnd /proc/$daemon/status | sed s/CapBnd/CapEff/)\" ]"
echo 1 > "$control_file"
check "it becomes master" "holds master"
conntrack -I -p tcp -s 192.0.2.10 -d 198.51.100.7 --sport 40000 --dport 443 --state ESTABLISHED \
    -u SEEN_REPLY,ASSURED -t 300 > /dev/null 2>&1
sleep 0.5
status=0
"$binary" status --json --control-file "$control_file" > "$scratch/status" || status=$?
# It is alone, which is not well.
check "its status" "[ $status -eq 1 ] && grep -q '\"messages_out\": [1-9]' $scratch/status"
# A reader keeps the file open, so another one has to come in its place; one is moved over it.
tail -f "$control_file" > /dev/null 2>&1 &
reader=$!
sleep 0.2
echo 0 > "$scratch/new"
mv "$scratch/new" "$control_file"
check "it becomes slave by a file moved over its own" "holds slave"
kill "$reader"
check "it may set nf_conntrack_events" "[ \$(cat /proc/sys/net/netfilter/nf_conntrack_events) = 1 ]"
check "it warns of nothing but that it is alone" \
    "! grep -E ' (warning|error|critical): ' $scratch/log | grep -vE 'SLAVE, NOT IN SYNC|MASTER, ALONE|may lack what other'"
kill "$daemon"
daemon=
wait "$tracer"
check "it ends in order" "[ $? -eq 0 ]"
tracer=

# Sets name sets, which the first line of their description leaves out.
names() {
    systemd-analyze syscall-filter "$1" | sed -n 's/^ *\([@a-z0-9_-]*\)$/\1/p' | while read -r name; do
        case $name in "$1") ;; @*) names "$name" ;; *) echo "$name" ;; esac
    done
}
names @system-service | sort -u > "$scratch/service"
{ names @privileged; names @resources; } | sort -u > "$scratch/forbidden"
comm -23 "$scratch/service" "$scratch/forbidden" > "$scratch/allowed"
# What setpriv did before it became the daemon does not count.
sed "1,/execve(\"[^\"]*ct_sync\"/d" "$scratch/trace" | grep -oE '^[0-9]+ +[a-z0-9_]+\(' \
    | sed 's/^[0-9]* *//; s/($//' | sort -u > "$scratch/used"
comm -23 "$scratch/used" "$scratch/allowed" > "$scratch/refused"
check "of $(wc -l < "$scratch/used") system calls the filter refuses none: $(tr '\n' ' ' < "$scratch/refused")" \
    "[ -s $scratch/used ] && [ ! -s $scratch/refused ]"
grep -oE 'socket\(AF_[A-Z0-9_]+' "$scratch/trace" | sed 's/.*(//' | sort -u | while read -r family; do
    grep -q "^RestrictAddressFamilies=.*$family\b" "$unit" || echo "$family"
done > "$scratch/families"
check "address families: the unit refuses none" "[ ! -s $scratch/families ]"

[ "$failures" -eq 0 ]
