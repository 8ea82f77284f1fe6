#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the Debian package on a machine that systemd runs, and drives its units there: readiness and
# status, both backends of l2drop under the units' rights, the watchdog, kill and stop, an instance. As
# root; "make deb" has built the package.
#
#   Tests/packaging/systemd.sh [DIRECTORY_OF_THE_PACKAGE]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_package "${1:-.build/deb}" "ct-sync_*.deb"
# shellcheck source=Tests/packaging/machine.sh
. Tests/packaging/machine.sh

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

inside dpkg --install /run/package.deb > "$scratch/words" 2>&1 || { cat "$scratch/words"; exit 1; }
check "the package is installed, nothing runs" "[ \"\$(property ActiveState)\" = inactive ]"
for unit in ct_sync.service ct_sync-dark.service ct_sync-exporter.service ct_sync-flows.service \
    ct_sync-metrics.timer; do
    check "$unit is off" \
        "[ \"\$(inside systemctl is-enabled $unit)\" = disabled ] && ! inside systemctl --quiet is-active $unit"
done
# Before there is a network: with each backend, under the early unit's rights. What comes later is dark too,
# and the daemon takes the drop over as it is.
configure "l2drop-backend=tables"
check "the early unit makes the node dark, by tables" "inside systemctl start ct_sync-dark && is_dark tables"
inside systemctl stop ct_sync-dark
inside ct_sync l2drop off > /dev/null
configure ""
check "the early unit makes the node dark, by netdev" "inside systemctl start ct_sync-dark && is_dark netdev"
check "it comes before the network" \
    "inside systemctl show --value --property=Before ct_sync-dark | grep -qw network-pre.target"
inside systemctl start peer.service

began=$(date +%s%N)
check "it starts" "inside systemctl start ct_sync"
echo "      ready after $((($(date +%s%N) - began) / 1000000)) ms"
check "it takes over what the early unit did" \
    "inside journalctl --no-pager --output=cat _COMM=ct_sync | grep -q 'as the last daemon left it'"
check "it is ready, as slave" "[ \"\$(property SubState)\" = running ] && status_says ^slave"
check "the node is dark, by netdev" "is_dark netdev"
check "it hears the master: $(within 10 status_says "'in sync\$'"; property StatusText)" \
    "status_says '^slave of node 2, in sync$'"
order 1
check "master, says its status" "within 5 status_says ^master && is_open"
check "the old master gives way" \
    "within 5 'inside ct_sync status --control-file /run/peer/state --field role | grep -q slave'"

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
    "! warnings"
check "its words are in the journal, with priorities" \
    "inside journalctl --no-pager --priority=notice _COMM=ct_sync | grep -q 'MASTER, promoted in'"

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
    && within 5 'inside journalctl --no-pager --identifier=ct_sync | grep -q 256'"
check "and does not start again" \
    "within 5 '[ \"\$(property ActiveState)\" = failed ]' && [ \"\$(property NRestarts)\" = 0 ]"
inside sh -c 'echo "options ct_sync syncdev=absent0" > /etc/ct_sync.conf'
check "a device that may come is waited for" "! inside systemctl restart ct_sync 2> /dev/null \
    && within 10 '[ \"\$(property NRestarts)\" -ge 2 ]'"
check "as an error of the journal, once for each start" \
    "within 5 'inside journalctl --no-pager --output=cat --priority=err --identifier=ct_sync \
        | grep -q \"^syncdev .absent0\"'"
inside systemctl stop ct_sync
check "the node is open" "inside ct_sync l2drop off > /dev/null && is_open"
# All that can be enabled, with what it leaves behind; then the package is removed, and purged.
inside sh -c 'echo "options ct_sync syncdev=sync0 id=1 l2drop=1" > /etc/ct_sync.conf
    mkdir -p /var/lib/prometheus/node-exporter
    systemctl --quiet enable --now ct_sync ct_sync@east ct_sync-dark ct_sync-exporter ct_sync-flows \
        ct_sync-metrics.timer && systemctl start ct_sync-metrics'
links() { inside find /etc/systemd/system -type l -name 'ct_sync*'; }
left() { inside sh -c 'ls -d /var/lib/ct_sync* /var/log/ct_sync* /var/log/private/ct_sync* /run/ct_sync* 2> /dev/null'; }
check "all units are enabled" "[ \$(links | wc -l) -eq 6 ]"
check "and leave files: $(left | tr '\n' ' ')" \
    "[ \$(left | wc -l) -ge 5 ] && inside test -e /var/lib/prometheus/node-exporter/ct_sync.prom"
check "the package is removed" \
    "inside dpkg --remove ct-sync > $scratch/words 2>&1 && ! inside systemctl cat ct_sync 2> /dev/null"
check "nothing of it runs" "! inside systemctl --plain --no-legend list-units --state=active 'ct_sync*' | grep ct_sync"
check "that the node is still dark is said, with the way out" \
    "grep -q 'this node stays dark' $scratch/words && grep -q 'ct_sync l2drop off' $scratch/words"
check "nobody takes its last metrics for new ones" \
    "! inside test -e /var/lib/prometheus/node-exporter/ct_sync.prom"
check "the package is purged" "inside dpkg --purge ct-sync > $scratch/words 2>&1"
check "no unit stays enabled: $(links | tr '\n' ' ')" "[ -z \"\$(links)\" ]"
check "and no file of its own is left: $(left | tr '\n' ' ')" "[ -z \"\$(left)\" ]"
conclude
