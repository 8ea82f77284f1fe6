#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Holds the alerts against Prometheus' own checker and against series that must fire them, and asks it
# whether it understands each query of the dashboard.

set -u
cd "$(dirname "$0")/../.." || exit 1
command -v promtool > /dev/null || { echo "promtool is missing (package prometheus)" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
failures=0

check() {
    if "$@" > "$scratch/words" 2>&1; then
        echo "ok    $what"
    else
        echo "FAIL  $what:"
        cat "$scratch/words"
        failures=$((failures + 1))
    fi
}

cp conf/prometheus/alerts.yml Tests/monitoring/alerts.test.yml "$scratch"
what="alerts: $(grep -c 'alert:' conf/prometheus/alerts.yml) of them are understood"
check promtool check rules "$scratch/alerts.yml"
what="alerts: they fire and are over when they should"
check promtool test rules "$scratch/alerts.test.yml"
sed -n 's/^ *- alert: //p' conf/prometheus/alerts.yml | while read -r alert; do
    awk -v alert="$alert" '$1 == "alertname:" || /alertname:/ { seen = seen $0 "\n" }
        END { exit index(seen, alert) == 0 }' Tests/monitoring/alerts.test.yml || echo "$alert"
done > "$scratch/untested"
what="alerts: each is tested"
check sh -c "! cat '$scratch/untested' | grep ."

# What the dashboard puts in place of its variables.
{
    echo 'groups: [{name: dashboard, rules: ['
    sed -n 's/^ *"expr": "\(.*\)",*$/\1/p' conf/grafana/ct_sync.json \
        | sed -e 's/\\"/"/g' -e 's/\$__rate_interval/1m/g; s/\$job/.*/g; s/\$instance/.*/g' \
            -e "s/.*/{record: 'a:b', expr: '&'},/"
    echo ']}]'
} > "$scratch/dashboard.yml"
what="dashboard: $(grep -c expr "$scratch/dashboard.yml") queries are understood"
check sh -c "promtool check rules --lint=none '$scratch/dashboard.yml' && grep -q ct_sync_ '$scratch/dashboard.yml'"
[ "$failures" -eq 0 ]
