#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Holds ct_sync import-conntrackd against the real conntrackd: what one takes the other takes, for the
# files of the unit tests and for Debian's own; then a daemon is started with what was imported. As
# root, with the package conntrackd.
#
#   Tests/managers/import-conntrackd.sh [PATH_OF_CT_SYNC]

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
take_binary "$@"
need conntrackd
if [ -z "${IMPORT_INSIDE-}" ]; then
    IMPORT_INSIDE=1 exec unshare --net "$0" "$binary"
fi

scratch=$(mktemp -d /tmp/ct_sync-import-XXXXXX)
daemon=
cleanup() {
    [ -z "$daemon" ] || { kill "$daemon"; wait "$daemon"; } 2> /dev/null
    rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
evidence="$scratch/words"

# Asked for statistics, conntrackd reads the file and then finds no daemon at the socket in it.
conntrackd_takes() {
    sed "s|Path /[^ ]*|Path $scratch/absent.ctl|" "$1" > "$scratch/asked.conf"
    conntrackd -C "$scratch/asked.conf" -s > "$scratch/words" 2>&1
    grep -q "can't connect" "$scratch/words"
}
import() {
    "$binary" import-conntrackd "$1" > "$scratch/imported.conf" 2> "$scratch/words"
}
refused() {
    import "$1"
    [ $? -eq 65 ] && [ ! -s "$scratch/imported.conf" ] && [ "$(wc -l < "$scratch/words")" -eq 1 ]
}

files=Tests/ConntrackdImportTests/conntrackd
for file in "$files"/*.conf /usr/share/doc/conntrackd/examples/sync/*/conntrackd.conf; do
    case $file in
        # These clauses are gone from the conntrackd of today.
        */before-*) ;;
        *) check "conntrackd takes ${file#"$files"/}" "conntrackd_takes $file" ;;
    esac
    check "ct_sync imports it" "import $file"
done
for file in "$files"/broken/*.conf; do
    case $file in
        */stats-only.conf) ;;
        *) check "conntrackd refuses ${file#"$files"/}" "! conntrackd_takes $file" ;;
    esac
    check "ct_sync refuses it" "refused $file"
    sed 's/^/      /' "$scratch/words"
done
check "statistics only: refused" \
    "refused /usr/share/doc/conntrackd/examples/stats/conntrackd.conf"
status=0
import "$scratch/absent" || status=$?
check "no such file: 66" "[ $status -eq 66 ] && [ ! -s $scratch/imported.conf ]"
status=0
import --nonsense || status=$?
check "a wrong flag: 64" "[ $status -eq 64 ] && [ ! -s $scratch/imported.conf ]"

# Each as it was imported, on the devices that it names: a daemon starts and is master.
setting() { sed -n "s/^options ct_sync $1=//p" "$scratch/imported.conf" | head -n "${2:-1}" | tail -n 1; }
field() { "$binary" status --control-file "$scratch/run/state" --field "$1" 2> /dev/null; }
starts() {
    import "$1" || return 1
    devices=$(sed -n "s/^options ct_sync syncdev=//p" "$scratch/imported.conf")
    number=0
    for device in $devices; do
        number=$((number + 1))
        ip link add "$device" type veth peer name "other$number"
        ip link set "$device" up
        ip link set "other$number" up
        # The network of its peer, or any.
        peer=$(setting peer "$number")
        case $peer in
            *:*) ip addr add "${peer}00/64" dev "$device" nodad ;;
            *.*) ip addr add "${peer%.*}.250/24" dev "$device" ;;
            *) ip addr add "192.168.$number.100/24" dev "$device" ;;
        esac
        ip addr add "fd00:$number::1/64" dev "$device" nodad
    done
    "$binary" --config "$scratch/imported.conf" --control-file "$scratch/run/state" --state master \
        2> "$scratch/words" &
    daemon=$!
    is_master=no
    within 20 '[ "$(field role)" = master ]' && is_master=yes
    id=$(field node_id)
    links=$("$binary" status --control-file "$scratch/run/state" --field links 2> /dev/null \
        | grep -o '"device"' | wc -l)
    { kill "$daemon"; wait "$daemon"; } 2> /dev/null
    daemon=
    for device in $devices; do ip link del "$device"; done
    [ "$is_master" = yes ] && [ "$id" = "$(setting id)" ] && [ "$links" -eq "$number" ]
}
ip link set lo up
count=0
for file in "$files"/*.conf /usr/share/doc/conntrackd/examples/sync/*/conntrackd.conf; do
    check "a daemon starts with ${file#"$files"/}, as the node that it names" "starts $file"
    count=$((count + 1))
done
check "$count files, more than twenty" "[ $count -ge 20 ]"
[ "$failures" -eq 0 ]
