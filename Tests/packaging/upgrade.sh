#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Upgrades the Debian package on a machine that systemd runs, under a TCP connection through it: as
# master and as slave the daemon is in its role again, and no connection is lost. As root; "make deb" has
# staged what the package is made of, and built it. The version before is the same with a lower number.
#
#   Tests/packaging/upgrade.sh [STAGED_ROOT [DIRECTORY_OF_THE_PACKAGE]]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
staged=${1:-.build/staged}
[ -x "$staged/usr/sbin/ct_sync" ] || { echo "nothing is staged in $staged" >&2; exit 1; }
packages=$(mktemp -d /tmp/ct_sync-packages-XXXXXX)
trap 'rm -rf "$packages"' EXIT
trap 'exit 1' INT TERM HUP
take_package "${2:-.build/deb}" "ct-sync_*.deb"
new=$package
CT_SYNC_PACKAGE_VERSION=0.0.1 DPKG_DEB_COMPRESSOR_TYPE=none \
    packaging/build-deb "$staged" "$packages" > "$packages/words" 2>&1 \
    || { cat "$packages/words"; exit 1; }
take_package "$packages" "ct-sync_*.deb"
# shellcheck source=Tests/packaging/machine.sh
. Tests/packaging/machine.sh
trap 'cleanup; rm -rf "$packages"' EXIT

role_is() { [ "$(inside cat /run/ct_sync/state)" = "$1" ]; }
peer_is() { [ "$(inside cat /run/peer/state)" = "$1" ]; }
upgrade() {
    inside sh -c 'cat > /run/new.deb' < "$new"
    inside dpkg --install /run/new.deb > "$scratch/words" 2>&1 || cat "$scratch/words"
}
# Echoed lines, and the longest pause between two, in milliseconds.
echoes() { inside cut -d ' ' -f 1 /run/echoes; }
pause() { inside cut -d ' ' -f 2 /run/echoes; }
goes_on() {
    before=$(echoes)
    # While its node was dark, TCP repeated what it said at longer and longer intervals.
    within 40 "[ \"\$(echoes)\" -gt $((before + 10)) ]"
}
has_connection() { inside conntrack -L -p tcp --dport 7000 2> /dev/null | grep -q ESTABLISHED; }
in_peer() { inside ip netns exec peer conntrack -L -p tcp --dport 7000 2> /dev/null | grep -q ESTABLISHED; }
is_dark() { inside ct_sync l2drop status | grep -q "on, by"; }

# client 10.3.0.2 --- the machine --- 10.4.0.2 server; what it does not know does not pass.
inside sh -e -c '
    for name in client server; do
        ip netns add $name
        ip link add $name type veth peer name eth0 netns $name
        ip link set $name up
        ip -n $name link set lo up
        ip -n $name link set eth0 up
    done
    ip addr add 10.3.0.1/24 dev client
    ip addr add 10.4.0.1/24 dev server
    ip -n client addr add 10.3.0.2/24 dev eth0
    ip -n server addr add 10.4.0.2/24 dev eth0
    ip -n client route add default via 10.3.0.1
    ip -n server route add default via 10.4.0.1
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose
    nft -f - <<RULES
table ip firewall {
    chain forward {
        type filter hook forward priority 0; policy drop;
        ct state established accept
        tcp flags & (syn | ack) == syn ct state new accept
    }
}
RULES
    cat > /run/server.pl <<PERL
use IO::Socket::INET;
my \$listener = IO::Socket::INET->new(Listen => 1, LocalPort => 7000, ReuseAddr => 1) or die;
my \$peer = \$listener->accept;
\$peer->autoflush(1);
while (my \$line = <\$peer>) { print \$peer \$line }
PERL
    cat > /run/client.pl <<PERL
use IO::Socket::INET;
use Time::HiRes qw(time sleep);
my \$server;
until (\$server = IO::Socket::INET->new(PeerAddr => "10.4.0.2:7000", Timeout => 5)) { sleep 0.1 }
\$server->autoflush(1);
my (\$count, \$last, \$pause) = (0, time, 0);
while (1) {
    print \$server "\$count\n";
    my \$line = <\$server>;
    die unless defined \$line && \$line eq "\$count\n";
    my \$now = time;
    \$pause = \$now - \$last if \$now - \$last > \$pause;
    (\$last, \$count) = (\$now, \$count + 1);
    open my \$file, ">", "/run/echoes.new" or die;
    printf \$file "%d %d\n", \$count, \$pause * 1000;
    close \$file;
    rename "/run/echoes.new", "/run/echoes";
    sleep 0.02;
}
PERL
    for name in client server; do
        cat > /run/systemd/system/$name.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/ip netns exec $name /usr/bin/perl /run/$name.pl
UNIT
    done
    sed -i s/--state\ master/--state\ slave/ /run/systemd/system/peer.service
    ip netns exec peer nft add table ip tracked
    ip netns exec peer nft "add chain ip tracked in { type filter hook input priority 0; }"
    ip netns exec peer nft add rule ip tracked in ct state established accept
    systemctl daemon-reload' || exit 1

inside dpkg --install /run/package.deb > "$scratch/words" 2>&1 || { cat "$scratch/words"; exit 1; }
inside sh -c 'echo "options ct_sync syncdev=sync0 id=1 l2drop=1" > /etc/ct_sync.conf'
inside systemctl start ct_sync peer.service
inside sh -c 'echo 1 > /run/ct_sync/state'
check "0.0.1 is master, the other node slave" "within 5 role_is master && within 5 peer_is slave"
inside systemctl start server.service client.service
check "a connection goes through it" "within 20 'inside test -e /run/echoes' && goes_on && has_connection"
check "the slave has it" "within 5 in_peer"

pid=$(property MainPID)
upgrade
check "the new version is installed" \
    "[ \"\$(inside dpkg-query -W -f '\${Version}' ct-sync)\" = $(packaging/version version) ]"
check "another process runs" "[ \"\$(property MainPID)\" -gt 0 ] && [ \"\$(property MainPID)\" != $pid ]"
check "it is master, at once" "role_is master"
check "the other node follows it" "within 5 'property StatusText | grep -qi ^master' && within 5 peer_is slave"
check "the connection goes on" "goes_on && has_connection"
check "and was never interrupted: longest pause $(pause) ms" "[ \"$(pause)\" -lt 2000 ]"
check "the slave has it still" "in_peer"

inside sh -c 'echo 1 > /run/peer/state'
check "the other node takes over" "within 5 role_is slave && peer_is master"
check "this one has its connections, and is dark" "has_connection && is_dark"
pid=$(property MainPID)
upgrade
check "upgraded as slave, another process runs" \
    "[ \"\$(property MainPID)\" -gt 0 ] && [ \"\$(property MainPID)\" != $pid ]"
check "it is slave, and dark" "role_is slave && is_dark"
check "it has its connections" "has_connection"
check "it is in sync again" "within 10 'inside ct_sync status > /dev/null'"
check "it warned of nothing" "! warnings"
inside sh -c 'echo 0 > /run/peer/state; echo 1 > /run/ct_sync/state'
check "master again, the connection goes on" "within 5 role_is master && goes_on"
check "the package is removed, and the group stays" \
    "inside dpkg --purge ct-sync > $scratch/words 2>&1 && inside getent group ct_sync > /dev/null"
conclude
