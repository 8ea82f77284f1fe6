#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs ct_sync-primary-backup against a real daemon in a network namespace of its own: its words, its
# exit statuses, calls that overlap; then under a real keepalived, with the keepalived.conf of Debian's
# conntrackd package in which one path was changed.
#
# As root:  Tests/managers/primary-backup.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
if [ -z "${PRIMARY_BACKUP_INSIDE-}" ]; then
    PRIMARY_BACKUP_INSIDE=1 exec unshare --net "$0" "$binary"
fi

scratch=$(mktemp -d /tmp/ct_sync-primary-backup-XXXXXX)
script=$PWD/conf/ct_sync-primary-backup
control_file=$scratch/run/state
export CT_SYNC="$binary" CT_SYNC_ROLE="$PWD/conf/ct_sync-role"
export CT_SYNC_NOTIFY="$PWD/conf/keepalived/ct_sync-notify"
daemon=
keepalived=
cleanup() {
    [ -z "$keepalived" ] || { kill "$keepalived"; wait "$keepalived"; } 2> /dev/null
    [ -z "$daemon" ] || { kill "$daemon"; wait "$daemon"; } 2> /dev/null
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
# FILE WORD
says() { [ "$(cat "$1" 2> /dev/null)" = "$2" ]; }
holds() { within 20 says "$control_file" "$1"; }
status_of() {
    "$script" "$@" > "$scratch/words" 2>&1
    status=$?
}

ip link set lo up
for device in sync eth0 eth1; do
    ip link add "$device" type veth peer name "$device-p"
    ip link set "$device" up
    ip link set "$device-p" up
done
ip addr add 172.31.255.1/24 dev sync
ip addr add 192.168.0.1/24 dev eth1
ip addr add 192.168.1.1/24 dev eth0

status_of -f "$control_file" primary
check "without a daemon: 1, and the role is noted" "[ $status -eq 1 ] && holds 1"
"$binary" --syncdev sync --id 1 --control-file "$control_file" 2> "$scratch/log" &
daemon=$!
check "the daemon starts in the role that was noted" "holds master"
status_of -f "$control_file" backup
check "backup: slave" "[ $status -eq 0 ] && holds slave"
status_of -f "$control_file" primary
check "primary: master" "[ $status -eq 0 ] && holds master"
status_of -f "$control_file" primary
check "primary of a master" "[ $status -eq 0 ] && holds master"
status_of -f "$control_file" fault
check "fault: slave" "[ $status -eq 0 ] && holds slave"
for words in "" master "primary backup" "-x primary"; do
    # They are words.
    # shellcheck disable=SC2086
    status_of -f "$control_file" $words
    check "\"$words\" is refused" "[ $status -eq 64 ] && grep -q '^usage: ' $scratch/words"
done
check "and changes nothing" "holds slave"
for turn in 1 2 3 4 5; do
    for word in primary backup fault primary backup primary; do
        "$script" -f "$control_file" "$word" &
        calls="${calls-} $!"
        # The clock that orders them ticks 100 times a second.
        sleep 0.02
    done
    # They are words.
    # shellcheck disable=SC2086
    wait $calls
    calls=
    check "of overlapping calls the last counts, $turn" "holds master"
done
status_of -f "$control_file" backup

example=/usr/share/doc/conntrackd/examples/sync/keepalived.conf
if command -v keepalived > /dev/null && [ -r "$example" ]; then
    sed "s|/etc/conntrackd/primary-backup.sh|$script -f $control_file|" "$example" \
        > "$scratch/migrated.conf"
    check "one path of the example is changed" \
        "[ \$(diff $example $scratch/migrated.conf | grep -c '^<.*primary-backup.sh') -eq 3 ]"
    # Side by side: one line more, conntrackd's script stays; here one that notes its word.
    printf '#!/bin/sh\necho "$1" > %s/conntrackd\n' "$scratch" > "$scratch/primary-backup.sh"
    chmod +x "$scratch/primary-backup.sh"
    sed -e "s|/etc/conntrackd/primary-backup.sh|$scratch/primary-backup.sh|" \
        -e "/notify_fault/a notify \"$CT_SYNC_NOTIFY -f $control_file\"" \
        "$example" > "$scratch/keepalived.conf"
    # Sooner than in the example.
    sed -i 's/advert_int 3/advert_int 1/' "$scratch/migrated.conf" "$scratch/keepalived.conf"
    keepalived --dont-fork --log-console --no-syslog --use-file="$scratch/keepalived.conf" \
        --pid="$scratch/keepalived.pid" --vrrp_pid="$scratch/vrrp.pid" \
        > "$scratch/keepalived.log" 2>&1 &
    keepalived=$!
    check "side by side, keepalived is alone: both are told" "holds master && within 20 says $scratch/conntrackd primary"
    cp "$scratch/migrated.conf" "$scratch/keepalived.conf"
    kill -HUP "$keepalived"
    rm "$scratch/conntrackd"
    check "reloaded with one path changed, it is master still" "holds master"
    ip link set eth1 down
    check "a link is down: fault" "holds slave"
    ip link set eth1 up
    check "it is up again: primary" "holds master"
    check "conntrackd's script is not called any more" "[ ! -e $scratch/conntrackd ]"
    [ "$failures" -eq 0 ] || cat "$scratch/keepalived.log"
else
    echo "      keepalived or conntrackd's examples are not installed"
fi
[ "$failures" -eq 0 ]
