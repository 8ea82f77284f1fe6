#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checks the systemd units without a running systemd: their words, and how exposed they are.

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
if ! command -v systemd-analyze > /dev/null; then
    echo "systemd-analyze is missing (package systemd)" >&2
    exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
# Words that systemd knows since version 254.
too_new='^$'
[ "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge 254 ] \
    || too_new="Unknown key (name )?'Restart(Steps|MaxDelaySec)'"
seconds() { sed -n "s/^$1=\([0-9]*\)\$/\1/p" "$unit"; }

for unit in conf/systemd/*.service; do
    exposure=$(systemd-analyze security --offline=yes --no-pager "$unit" \
        | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
    if [ -n "$exposure" ] && [ "${exposure%.*}${exposure#*.}" -le 20 ]; then
        echo "ok    $unit: exposure $exposure"
    else
        fail "$unit: exposure $exposure, above 2.0"
    fi
    # The program and the man pages need not be installed here.
    name=$(basename "$unit" | sed 's/@/@east/')
    sed "s|/usr/sbin/ct_sync|/bin/true|; /^Documentation=/d" "$unit" > "$scratch/$name"
    systemd-analyze verify --man=no "$scratch/$name" > "$scratch/all-words" 2>&1
    status=$?
    grep -vE "$too_new" "$scratch/all-words" > "$scratch/words"
    if [ "$status" -eq 0 ] && ! grep -q "$name" "$scratch/words"; then
        echo "ok    $unit: every word is known"
    else
        fail "$unit:"
        cat "$scratch/words"
    fi
    # Beside the daemon: they may stay away.
    case $unit in *ct_sync-*) continue ;; esac
    # What does not get better by itself is not started again, the rest with growing pauses, for ever.
    if grep -qx 'RestartPreventExitStatus=64 77 78' "$unit" && grep -qx 'Restart=always' "$unit" \
        && grep -qx 'StartLimitIntervalSec=0' "$unit" && [ "$(seconds RestartSteps)" -ge 1 ] \
        && [ "$(seconds RestartSec)" -lt "$(seconds RestartMaxDelaySec)" ]; then
        echo "ok    $unit: restarts"
    else
        fail "$unit: restarts"
    fi
done

# What is counted against the daemon's unit, docs/security.md has with the reason.
systemd-analyze security --offline=yes --no-pager conf/systemd/ct_sync.service 2> /dev/null \
    | sed -n 's/^✗ \([^ ]*\) .*/\1/p' | sed 's/AF_(INET|.*/AF_INET/; s/CAP_NET_(.*/CAP_NET_RAW/; s|/.*||' \
    | while read -r item; do grep -qF "\`$item" docs/security.md || echo "$item"; done > "$scratch/words"
if [ -s "$scratch/words" ]; then
    echo "FAIL  docs/security.md does not say why these stay: $(tr '\n' ' ' < "$scratch/words")"
    failures=$((failures + 1))
else
    echo "ok    docs/security.md: what stays, and why"
fi

# The instance unit is the other one, but for its names.
sed -e 's|ct_sync/%i.conf|ct_sync.conf|; s| --control-file /run/ct_sync-%i/state||; s|ct_sync-%i|ct_sync|' \
    -e 's|, group %i||' conf/systemd/ct_sync@.service > "$scratch/single"
if diff conf/systemd/ct_sync.service "$scratch/single" | grep '^[<>]' | grep -v '^> #'; then
    fail "the units differ"
else
    echo "ok    the units differ in their names only"
fi

if systemd-tmpfiles --create --dry-run conf/tmpfiles.d/ct_sync.conf > "$scratch/words" 2>&1 \
    || systemd-tmpfiles --create --root="$scratch/root" "$PWD/conf/tmpfiles.d/ct_sync.conf" \
        > "$scratch/words" 2>&1; then
    echo "ok    tmpfiles.d"
else
    fail "tmpfiles.d: $(cat "$scratch/words")"
fi

# As root, in a namespace of its own: the rules for the sync link load, twice.
if [ "$(id -u)" -eq 0 ] && command -v nft > /dev/null; then
    # The script's own word.
    # shellcheck disable=SC2016
    if unshare --net sh -c 'nft -f "$1" && nft -f "$1"' sh conf/nftables/ct_sync-link.nft; then
        echo "ok    nftables"
    else
        fail "conf/nftables/ct_sync-link.nft"
    fi
fi

[ "$failures" -eq 0 ]
