#!/bin/bash
# What was used is in the ledger and in Prometheus, and agrees with what the kernel told the burner itself.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e --cpu 2
make_tenant_of "$tenant" e2e
cp -r "$root/tests/e2e/app" "$scratch/burner"
sed -i '/^\[limits\]/,$d' "$scratch/burner/cloister.toml"
expect "deploy" deploy_test_app "$tenant" burner "$scratch/burner"
url=$(app_url "$tenant" burner)
wait_for 20 "the app answers" answers "$url/" || true

used() { # METER: nanoseconds or whatever its unit is, of the app
  cloister --tenant "$tenant" -o json usage --app burner --meter "$1" 2>/dev/null | jq '[.items[].quantity | tonumber] | add // 0'
}

fetch "$url/burn?seconds=10" --max-time 90 >/dev/null 2>&1
own=$(fetch "$url/rusage" 2>/dev/null) # reaps the burner; a second look counts it
own=$(fetch "$url/rusage" 2>/dev/null)
expect_within "the burner used its 10 CPU seconds, by its own account" "${own:-none}" 10 12

# An interval later all of it must be there.
agrees() {
  awk -v l="$(used cpu)" -v o="$(fetch "$url/rusage" 2>/dev/null)" 'BEGIN { d = l / 1e9 - o; if (d < 0) d = -d; exit !(o > 0 && d / o < 0.01) }'
}
wait_for 60 "the ledger has caught up" agrees || true
ledger=$(used cpu)
own=$(fetch "$url/rusage" 2>/dev/null)
expect_within "ledger over getrusage, CPU of a 10 s burn" "$(awk -v l="$ledger" -v o="$own" 'BEGIN {printf "%.4f", (o > 0 ? l / 1e9 / o : 0)}')" 0.99 1.01

expect_within "instance time is counted" "$(used instance)" 1000 1e12
expect_within "memory over time is counted" "$(used memory)" 1 1e30
fetch "$url/" >/dev/null 2>&1
network() { cloister --tenant "$tenant" -o json usage 2>/dev/null | jq '[.items[] | select(.meter | startswith("network")) | .quantity | tonumber] | add // 0'; }
carried() { [ "$(network)" -gt 0 ]; }
expect "network bytes are counted" wait_for 30 "network bytes" carried

# Prometheus, the real one, by the tenant's opaque id
id=$(json_of .id tenant show "$tenant")
prometheus=http://127.0.0.1:$(prometheus_port)
query() { curl -sS --max-time 5 -G --data-urlencode "query=$1" "$prometheus/api/v1/query" | jq -r '.data.result[0].value[1] // empty'; }
scraped() { awk -v v="$(query "cloister_tenant_cpu_seconds_total{tenant=\"$id\"}")" 'BEGIN { exit !(v >= 10) }'; }
expect "Prometheus answers the tenant's CPU seconds" wait_for 45 "a scrape" scraped
expect_within "Prometheus over getrusage" "$(awk -v p="$(query "cloister_tenant_cpu_seconds_total{tenant=\"$id\"}")" -v o="$own" 'BEGIN {printf "%.3f", (o > 0 ? p / o : 0)}')" 0.9 1.2
expect_within "seconds that the tenant's processes waited for CPU, in Prometheus" "$(query "cloister_tenant_pressure_seconds_total{tenant=\"$id\",resource=\"cpu\",kind=\"some\"}")" 0 3600
expect_within "CPU of the host, of which tenants are a part" "$(query 'cloister_host_cpu_seconds_total > cloister_host_tenants_cpu_seconds_total')" 10 1e12
expect_within "instances' CPU over that of all tenants' groups on the host" "$(query 'cloister_metering_reconciliation_difference_ratio{against="host"}')" -0.02 0.02
expect_equal "no series has the tenant's name" "" "$(query "{tenant=\"$tenant\"}")"
expect_equal "the scrape is up" 1 "$(query 'up{job="cloister"}')"
rules=$(curl -sS --max-time 5 "$prometheus/api/v1/rules")
expect_equal "Prometheus evaluates every rule without a fault" "" "$(jq -r '[.data.groups[].rules[] | select(.health == "err") | .name] | join(" ")' <<<"$rules")"
expect_within "rules in Prometheus" "$(jq '[.data.groups[].rules[]] | length' <<<"$rules")" 20 1000
expect_match "usage is shown in human units" 'cpu +1[0-9](\.[0-9]+)?s' "$(cloister --tenant "$tenant" usage --app burner 2>/dev/null)"
finish
