#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Holds the alerts against Prometheus' own checker and against series that must fire them, and asks it
# whether it understands each query of the dashboard.

set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=Tests/checks.sh
. Tests/checks.sh
need promtool
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM HUP
evidence=$scratch/words
: > "$evidence"

cp conf/prometheus/alerts.yml Tests/monitoring/alerts.test.yml "$scratch"
check "alerts: $(grep -c 'alert:' conf/prometheus/alerts.yml) of them are understood" \
    "promtool check rules $scratch/alerts.yml > $evidence 2>&1"
check "alerts: they fire and are over when they should" \
    "promtool test rules $scratch/alerts.test.yml > $evidence 2>&1"
sed -n 's/^ *- alert: //p' conf/prometheus/alerts.yml | while read -r alert; do
    awk -v alert="$alert" '$1 == "alertname:" || /alertname:/ { seen = seen $0 "\n" }
        END { exit index(seen, alert) == 0 }' Tests/monitoring/alerts.test.yml || echo "$alert"
done > "$evidence"
check "alerts: each is tested" "[ ! -s $evidence ]"

# What the dashboard puts in place of its variables.
{
    echo 'groups: [{name: dashboard, rules: ['
    sed -n 's/^ *"expr": "\(.*\)",*$/\1/p' conf/grafana/ct_sync.json \
        | sed -e 's/\\"/"/g' -e 's/\$__rate_interval/1m/g; s/\$job/.*/g; s/\$instance/.*/g' \
            -e "s/.*/{record: 'a:b', expr: '&'},/"
    echo ']}]'
} > "$scratch/dashboard.yml"
check "dashboard: $(grep -c expr "$scratch/dashboard.yml") queries are understood" \
    "promtool check rules --lint=none $scratch/dashboard.yml > $evidence 2>&1 \
        && grep -q ct_sync_ $scratch/dashboard.yml"
[ "$failures" -eq 0 ]
