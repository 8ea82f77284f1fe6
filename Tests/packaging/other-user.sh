#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the control file would lose if the daemon were not root's: runs it as "nobody" with ambient
# CAP_NET_ADMIN and CAP_NET_RAW, and as root with the same capabilities, and does to the file what
# root's scripts do. docs/security.md has the outcome. As root.
#
#   Tests/packaging/other-user.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
[ -n "${OTHER_USER_INSIDE-}" ] || OTHER_USER_INSIDE=1 exec unshare --net "$0" "$binary"

scratch=$(mktemp -d /tmp/ct_sync-user-XXXXXX)
chmod 755 "$scratch"
cp "$binary" "$scratch/ct_sync"
daemon=
cleanup() {
    [ -z "$daemon" ] || kill "$daemon" 2> /dev/null
    [ -z "$daemon" ] || wait "$daemon"
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
evidence="$scratch/log"
role() { "$binary" status --field role --control-file "$file"; }
is() { [ "$(cat "$file" 2> /dev/null)" = "$1" ] && [ "$(role)" = "$1" ]; }
becomes() { within 10 is "$1"; }
# The daemon has looked at the file again (once a second) and left it as it is.
stays() {
    sleep 3
    [ "$(cat "$file")" = "$1" ]
}

ip link set lo up
ip link add sync0 type veth peer name peer0
ip addr add 172.31.255.1/24 dev sync0
ip link set sync0 up
ip link set peer0 up

# start USER
start() {
    mkdir "$scratch/$1"
    chown "$1" "$scratch/$1"
    file=$scratch/$1/state
    setpriv --reuid="$1" --clear-groups --inh-caps=-all,+net_admin,+net_raw \
        --ambient-caps=-all,+net_admin,+net_raw --bounding-set=-all,+net_admin,+net_raw \
        --no-new-privs "$scratch/ct_sync" --syncdev sync0 --id 1 --state slave --l2drop 0 \
        --control-file "$file" 2> "$scratch/log" &
    daemon=$!
    check "$1: it starts" "becomes slave"
    echo 1 > "$file"
    check "$1: an order of root's echo" "becomes master"
}
stop() {
    kill "$daemon"
    wait "$daemon"
    daemon=
}
# move MODE WORD
move() {
    echo "$2" > "$scratch/new"
    chmod "$1" "$scratch/new"
    mv "$scratch/new" "$file"
}

start root
move 600 0
check "root: a file moved over it is obeyed and says the role" "becomes slave"
chgrp daemon "$file"
chmod 664 "$file"
echo 1 > "$file"
# Not by reading the file: it is written in place only if nobody has it open.
check "root: owner and mode are kept" "within 10 '[ \"\$(role)\" = master ]' && stays master \
    && [ \"\$(stat -c %G%a \"\$file\")\" = daemon664 ]"
tail -f "$file" > /dev/null 2>&1 &
reader=$!
sleep 0.5
echo 0 > "$file"
check "root: but if somebody reads it when the role changes, the group is root's again" \
    "becomes slave && [ \"\$(stat -c %G%a \"\$file\")\" = root664 ]"
kill "$reader"
stop

start nobody
move 644 0
check "nobody: a file moved over it is not what says the role" "stays 0"
move 600 1
check "nobody: nor is it read with mode 0600" "stays 1 && [ \"\$(role)\" = slave ]"
stop

[ "$failures" -eq 0 ]
