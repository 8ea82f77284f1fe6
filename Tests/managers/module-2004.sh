#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A pair of firewalls as the kernel module of 2004 was deployed, with its files as they were: a line in
# modprobe.d on each node, and scripts that write to /proc/net/ct_sync. What is changed for the daemon
# is that path. Two network namespaces and a cable.
#
# As root:  Tests/managers/module-2004.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"

scratch=$(mktemp -d /tmp/ct_sync-2004-XXXXXX)
run=${scratch##*-}
fw1=ct_sync-$run-fw1
fw2=ct_sync-$run-fw2
daemons=
cleanup() {
    for daemon in $daemons; do kill "$daemon" && wait "$daemon"; done 2> /dev/null
    ip netns del "$fw1" 2> /dev/null
    ip netns del "$fw2" 2> /dev/null
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
on() { ip netns exec "$@"; }

ip netns add "$fw1"
ip netns add "$fw2"
ip link add eth2 netns "$fw1" type veth peer name eth2 netns "$fw2"
for node in 1 2; do
    name=$(eval echo "\$fw$node")
    directory=$scratch/$node
    mkdir "$directory"
    ip -n "$name" link set lo up
    ip -n "$name" link add eth0 type veth peer name eth0-p
    ip -n "$name" addr add 10.1.0.1/24 dev eth0
    ip -n "$name" addr add "172.31.255.$node/24" dev eth2
    ip -n "$name" link set eth0 up
    ip -n "$name" link set eth0-p up
    ip -n "$name" link set eth2 up
    # Connections are tracked where a rule asks for it.
    on "$name" nft -f - <<'RULES'
table ip filter { chain forward { type filter hook forward priority 0; ct state established accept; }; }
RULES

    # The files of 2004. The first is not changed at all.
    cat > "$directory/modprobe.conf" <<CONF
# ct_sync: connection-tracking failover
options ct_sync syncdev=eth2 l2drop=1 \\
    id=$node state=0
CONF
    cat > "$directory/to_master" <<'SCRIPT'
#!/bin/sh
echo 1 > /proc/net/ct_sync
SCRIPT
    cat > "$directory/to_slave" <<'SCRIPT'
#!/bin/sh
echo 0 > /proc/net/ct_sync
SCRIPT
    cat > "$directory/which" <<'SCRIPT'
#!/bin/sh
cat /proc/net/ct_sync
SCRIPT
    # One path changed; on a real node it is /run/ct_sync/state.
    sed -i "s|/proc/net/ct_sync|$directory/run/state|" "$directory/to_master" \
        "$directory/to_slave" "$directory/which"
    chmod +x "$directory/to_master" "$directory/to_slave" "$directory/which"
done

# modprobe ct_sync, with the options of modprobe.d; on the second node as they were given by hand.
ip netns exec "$fw1" "$binary" --config "$scratch/1/modprobe.conf" --control-file "$scratch/1/run/state" \
    2> "$scratch/1/log" &
daemons=$!
ip netns exec "$fw2" "$binary" syncdev=eth2 l2drop=1 id=2 state=0 control-file="$scratch/2/run/state" \
    2> "$scratch/2/log" &
daemons="$daemons $!"

is() { [ "$("$scratch/$1/which" 2> /dev/null)" = "$2" ]; }
dark() { on "$(eval echo "\$fw$1")" "$binary" l2drop status > /dev/null; }
has() { on "$(eval echo "\$fw$1")" conntrack -L 2> /dev/null | grep -q 'dport=4430'; }
check "both start as slaves" "within 10 'is 1 slave && is 2 slave'"
check "and are dark" "within 10 'dark 1 && dark 2'"
"$scratch/1/to_master"
check "echo 1: master, and open" "within 10 'is 1 master && ! dark 1'"
check "the other stays slave, and dark" "is 2 slave && dark 2"
check "the slave is in sync" \
    "within 10 '\"$binary\" status --control-file $scratch/2/run/state > /dev/null'"
on "$fw1" conntrack -I -p tcp -s 192.0.2.10 -d 198.51.100.7 --sport 40000 --dport 4430 \
    --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 3000 > /dev/null 2>&1
check "a connection of the master" "has 1"
check "is in the slave's kernel" "within 10 'has 2'"
"$scratch/1/to_slave"
"$scratch/2/to_master"
check "the roles change, by the same scripts" "within 10 'is 1 slave && is 2 master'"
check "and who is dark" "within 10 'dark 1 && ! dark 2'"
check "both have the connection" "has 1 && has 2"
"$scratch/1/to_master"
check "echo 1 on a slave: it takes over" "within 10 'is 1 master && is 2 slave'"
check "both have the connection still" "has 1 && has 2"
[ "$failures" -eq 0 ] || cat "$scratch/1/log" "$scratch/2/log"
[ "$failures" -eq 0 ]
