#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Moves a pair of firewalls from conntrackd to ct_sync and back, under TCP connections through them, with
# the commands of docs/migration.md. Five network namespaces: a client, a server, a switch, two firewalls
# with strict rules and masquerading. As root, with the packages conntrackd and perl.
#
#   Tests/managers/migration.sh [PATH_OF_CT_SYNC [cached|direct]]
#       cached: conntrackd as it is shipped; both run side by side for a while. direct: conntrackd with
#       DisableExternalCache, which must end before ct_sync begins. Without a word: both, one by one.

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
if [ $# -lt 2 ]; then
    "$0" "$binary" cached && exec "$0" "$binary" direct
    exit 1
fi
mode=$2
echo "--- $mode"
examples=/usr/share/doc/conntrackd/examples/sync
need conntrackd perl conntrack nft

scratch=$(mktemp -d /tmp/ct_sync-migration-XXXXXX)
run=${scratch##*-}
connections=20
processes=
spaces=
cleanup() {
    for node in fw1 fw2; do
        conntrackd -C "$scratch/$node/conntrackd.conf" -k > /dev/null 2>&1
    done
    for process in $processes; do { kill "$process" && wait "$process"; } 2> /dev/null; done
    for space in $spaces; do ip netns del "$space" 2> /dev/null; done
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
# The namespace of a host of this run.
space() { echo "ct_sync-$run-$1"; }
on() {
    host=$1
    shift
    ip netns exec "$(space "$host")" "$@"
}

# The network: the firewalls have the same addresses, the switch lets the active one in.
for host in client server switch fw1 fw2; do
    ip netns add "$(space "$host")"
    spaces="$spaces $(space "$host")"
    ip -n "$(space "$host")" link set lo up
done
for bridge in lan wan sync; do
    ip -n "$(space switch)" link add "$bridge" type bridge
    ip -n "$(space switch)" link set "$bridge" type bridge ageing_time 0
    ip -n "$(space switch)" link set "$bridge" up
done
# HOST DEVICE BRIDGE ADDRESS
wire() {
    ip link add "$2" netns "$(space "$1")" type veth peer name "$1-$2" netns "$(space switch)"
    ip -n "$(space switch)" link set "$1-$2" master "$3"
    ip -n "$(space switch)" link set "$1-$2" up
    ip -n "$(space "$1")" addr add "$4" dev "$2"
}
wire client eth0 lan 10.1.0.2/24
wire server eth0 wan 10.2.0.2/24
for node in 1 2; do
    name=fw$node
    wire "$name" eth0 lan 10.1.0.1/24
    wire "$name" eth1 wan 10.2.0.1/24
    wire "$name" eth2 sync "192.168.100.$node/24"
    ip -n "$(space "$name")" link set eth0 address 02:00:00:00:01:01
    ip -n "$(space "$name")" link set eth1 address 02:00:00:00:02:01
    for device in eth0 eth1 eth2; do ip -n "$(space "$name")" link set "$device" up; done
    on "$name" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
        echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose'
    on "$name" nft -f - <<'RULES'
table ip firewall {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established accept
        iifname "eth0" tcp flags & (syn | ack) == syn ct state new accept
    }
    chain translate {
        type nat hook postrouting priority 100;
        oifname "eth1" masquerade fully-random
    }
}
RULES
done
for host in client server; do ip -n "$(space "$host")" link set eth0 up; done
ip -n "$(space client)" route add default via 10.1.0.1
# Who is active is plugged in.
plug() {
    for port in eth0 eth1; do
        ip -n "$(space switch)" link set "$([ "$1" = fw1 ] && echo fw2 || echo fw1)-$port" down
    done
    for port in eth0 eth1; do ip -n "$(space switch)" link set "$1-$port" up; done
}

# conntrackd as in Debian's example, with places of this run.
clauses=
[ "$mode" = cached ] || clauses='DisableExternalCache on'
for node in 1 2; do
    directory=$scratch/fw$node
    mkdir "$directory"
    sed -e "s|192.168.100.100|192.168.100.$node|" -e 's|LogFile on|LogFile off|' \
        -e "s|/var/lock/conntrack.lock|$directory/conntrackd.lock|" \
        -e "s|/var/run/conntrackd.ctl|$directory/conntrackd.ctl|" \
        -e "s|Mode FTFW {|Mode FTFW { PurgeTimeout 3 $clauses|" \
        "$examples/ftfw/conntrackd.conf" > "$directory/conntrackd.conf"
    sed -e "s|/etc/conntrackd/conntrackd.conf|$directory/conntrackd.conf|" \
        -e "s|/var/lock/conntrack.lock|$directory/conntrackd.lock|" \
        "$examples/primary-backup.sh" > "$directory/primary-backup.sh"
    chmod +x "$directory/primary-backup.sh"
done
conntrackd_role() { on "$1" "$scratch/$1/primary-backup.sh" "$2" > /dev/null 2>&1; }
conntrackd_start() { on "$1" conntrackd -C "$scratch/$1/conntrackd.conf" -d; }
conntrackd_stop() {
    conntrackd -C "$scratch/$1/conntrackd.conf" -k > /dev/null 2>&1
    within 10 "[ ! -e $scratch/$1/conntrackd.lock ]"
}
export CT_SYNC="$binary" CT_SYNC_ROLE="$PWD/conf/ct_sync-role"
export CT_SYNC_NOTIFY="$PWD/conf/keepalived/ct_sync-notify"
ct_sync_role() {
    on "$1" conf/ct_sync-primary-backup -f "$scratch/$1/run/state" "$2" > /dev/null 2>&1
}
ct_sync_start() {
    ip netns exec "$(space "$1")" "$binary" --config "$scratch/$1/ct_sync.conf" \
        --control-file "$scratch/$1/run/state" 2>> "$scratch/$1/log" &
    processes="$processes $!"
}
ct_sync() {
    node=$1
    command=$2
    "$binary" "$command" --control-file "$scratch/$node/run/state" > "$scratch/words" 2>&1
}
role_is() { [ "$(cat "$scratch/$1/run/state" 2> /dev/null)" = "$2" ]; }
entries() { on "$1" conntrack -L -p tcp --dport 7000 2> /dev/null | grep -c ESTABLISHED; }

# Connections that each echo a line over and over; the file has the number of rounds.
cat > "$scratch/server.pl" <<'PERL'
use IO::Socket::INET; use IO::Select;
my $listener = IO::Socket::INET->new(Listen => 50, LocalPort => 7000) or die;
my $select = IO::Select->new($listener);
while (1) {
    for my $one ($select->can_read) {
        if ($one == $listener) { $select->add($listener->accept); next }
        my $count = sysread $one, my $bytes, 4096;
        if ($count) { syswrite $one, $bytes } else { $select->remove($one); close $one }
    }
}
PERL
cat > "$scratch/client.pl" <<'PERL'
use IO::Socket::INET; use Time::HiRes qw(sleep);
my ($file, $count) = @ARGV;
my @sockets;
while (@sockets < $count) {
    my $socket = IO::Socket::INET->new(PeerAddr => "10.2.0.2:7000", Timeout => 5);
    if ($socket) { push @sockets, $socket } else { sleep 0.1 }
}
for (my $round = 1; ; $round++) {
    for my $socket (@sockets) {
        syswrite $socket, "$round\n" or die;
    }
    for my $socket (@sockets) {
        my $line = "";
        while ($line !~ /\n/) { sysread($socket, $line, 64, length $line) or die }
        die unless $line eq "$round\n";
    }
    open my $out, ">", "$file.new" or die; print $out $round; close $out; rename "$file.new", $file;
    sleep 0.05;
}
PERL
rounds() { cat "$scratch/rounds" 2> /dev/null || echo 0; }
go_on() {
    before=$(rounds)
    within "${1-20}" "[ \"\$(rounds)\" -gt $((before + 5)) ]"
}

echo "--- conntrackd replicates"
plug fw1
conntrackd_start fw1
conntrackd_start fw2
conntrackd_role fw1 primary
conntrackd_role fw2 backup
ip netns exec "$(space server)" perl "$scratch/server.pl" &
processes="$processes $!"
ip netns exec "$(space client)" perl "$scratch/client.pl" "$scratch/rounds" "$connections" &
processes="$processes $!"
check "$connections connections go through fw1" "go_on && [ \$(entries fw1) -eq $connections ]"

for node in fw1 fw2; do
    "$binary" import-conntrackd "$scratch/$node/conntrackd.conf" > "$scratch/$node/ct_sync.conf"
done
check "each node has an id of its own" \
    "[ \$(cat $scratch/fw[12]/ct_sync.conf | grep -c '^options ct_sync id=[12]\$') -eq 2 ] \
        && ! cmp -s $scratch/fw1/ct_sync.conf $scratch/fw2/ct_sync.conf"
if [ "$mode" = direct ]; then
    check "fw2's kernel has the connections, by conntrackd" \
        "within 10 '[ \$(entries fw2) -eq $connections ]'"
    echo "--- conntrackd ends"
    conntrackd_stop fw1
    conntrackd_stop fw2
else
    echo "--- side by side"
fi
ct_sync_start fw1
check "ct_sync runs on fw1" "within 10 'role_is fw1 slave'"
check "ct_sync promote" "ct_sync fw1 promote && role_is fw1 master"
ct_sync_start fw2
check "ct_sync runs on fw2 and is in sync" "within 10 'ct_sync fw2 status' && role_is fw2 slave"
check "fw2's kernel has the connections" "within 10 '[ \$(entries fw2) -eq $connections ]'"
check "the connections go on" "go_on"

if [ "$mode" = direct ]; then
    echo "--- a takeover"
    plug fw2
    check "ct_sync-primary-backup primary on fw2" "ct_sync_role fw2 primary && role_is fw2 master"
    check "ct_sync-primary-backup backup on fw1" "ct_sync_role fw1 backup && role_is fw1 slave"
    check "the connections go on through fw2" "go_on && [ \$(entries fw2) -eq $connections ]"
    [ "$failures" -eq 0 ] || tail -n 20 "$scratch/fw1/log" "$scratch/fw2/log"
    [ "$failures" -eq 0 ]
    exit
fi
echo "--- a takeover while both run: both get their role"
plug fw2
ct_sync_role fw2 primary
conntrackd_role fw2 primary
ct_sync_role fw1 backup
conntrackd_role fw1 backup
check "the connections go on through fw2" "go_on && [ \$(entries fw2) -eq $connections ]"
check "fw2 is master, fw1 slave" "role_is fw2 master && role_is fw1 slave"
# conntrackd -t of fw1's script empties its kernel's table, after PurgeTimeout.
sleep 5
check "ct_sync resync, and fw1 has the connections again" \
    "ct_sync fw1 resync && within 20 '[ \$(entries fw1) -eq $connections ] && ct_sync fw1 status'"
check "the connections go on" "go_on"

echo "--- conntrackd ends"
conntrackd_stop fw1
conntrackd_stop fw2
check "fw1 is in sync without it" "within 10 'ct_sync fw1 status && [ \$(entries fw1) -eq $connections ]'"
plug fw1
check "ct_sync-primary-backup primary on fw1" "ct_sync_role fw1 primary && role_is fw1 master"
check "ct_sync-primary-backup backup on fw2" "ct_sync_role fw2 backup && role_is fw2 slave"
check "the connections go on through fw1" "go_on"

echo "--- the way back"
conntrackd_start fw1
conntrackd_start fw2
on fw1 conntrackd -C "$scratch/fw1/conntrackd.conf" -R > /dev/null 2>&1
on fw1 conntrackd -C "$scratch/fw1/conntrackd.conf" -B > /dev/null 2>&1
external() {
    on "$1" conntrackd -C "$scratch/$1/conntrackd.conf" -e 2> /dev/null | grep -c 'dport=7000'
}
check "conntrackd of fw2 has the connections" "within 10 '[ \$(external fw2) -ge $connections ]'"
for process in $processes; do
    case $(readlink "/proc/$process/exe") in */ct_sync) kill "$process" && wait "$process" ;; esac
done
check "ct_sync is gone" "[ ! -e $scratch/fw1/run/state ] && [ ! -e $scratch/fw2/run/state ]"
check "the connections go on" "go_on"
plug fw2
conntrackd_role fw2 primary
conntrackd_role fw1 backup
check "and through fw2, taken over by conntrackd" "go_on"
[ "$failures" -eq 0 ] || tail -n 20 "$scratch/fw1/log" "$scratch/fw2/log"
[ "$failures" -eq 0 ]
