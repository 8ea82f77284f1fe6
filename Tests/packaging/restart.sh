#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# conf/ct_sync-restart under a systemctl that is a script: as after an upgrade each unit that runs is started
# again, a daemon in the role that it had, wherever its control file is and however the file of settings
# names that.
#
#   Tests/packaging/restart.sh

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
scratch=$(mktemp -d /tmp/ct_sync-restart-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
mkdir "$scratch/run"
file=$scratch/run/state
evidence="$scratch/words"
export CT_SYNC_SYSTEMCTL="$scratch/systemctl" CT_SYNC_CONFIG="$scratch/ct_sync.conf"

# A daemon that is stopped takes its control file away; one that starts has the role that is written there.
cat > "$scratch/systemctl" <<END
#!/bin/sh
echo "\$*" >> "$scratch/calls"
case "\$*" in
    *is-active*) grep -qx "\$3" "$scratch/active" ;;
    "stop ct_sync.service") rm -f "$file" ;;
    "start ct_sync.service") [ -e "$file" ] || echo slave > "$file" ;;
esac
END
chmod +x "$scratch/systemctl"

# restarts ACTIVE_UNIT...
restarts() {
    : > "$scratch/calls"
    printf '%s\n' "$@" > "$scratch/active"
    echo master > "$file"
    (cd "$scratch" && "$OLDPWD/conf/ct_sync-restart") > "$scratch/words" 2>&1
}

while read -r line; do
    printf '# control-file=/run/elsewhere\noptions ct_sync syncdev=eth2 id=1\n%b\n' "$line" | sed "s|FILE|$file|" \
        > "$scratch/ct_sync.conf"
    check "master again: $line" "restarts ct_sync.service && [ \"\$(cat $file)\" = master ]"
done <<'END'
options ct_sync control-file=FILE
options ct_sync control_file=FILE
options ct_sync control-file="FILE"
options ct_sync "control-file=FILE"
options ct_sync control-file=FILE # was control-file=/run/old
options ct_sync l2drop=0 \\\n    control-file="FILE"
options ct_sync control-file=/run/first/state\noptions ct_sync control-file=FILE
options ct_sync control-file=FILE\n#options ct_sync control-file=/run/other
END
check "nothing else was made" "[ \"\$(ls -A $scratch | tr '\n' ' ')\" = 'active calls ct_sync.conf run systemctl words ' ]"

echo "options ct_sync control-file=$file" > "$scratch/ct_sync.conf"
restarts ct_sync.service
check "what looks at the daemon is of the new version too, if it runs" \
    "grep -qx 'try-restart ct_sync-exporter.service ct_sync-flows.service' $scratch/calls"
restarts
check "what does not run is left alone" "! grep -E '^(stop|start|restart)' $scratch/calls"
[ "$failures" -eq 0 ]
