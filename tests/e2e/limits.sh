#!/bin/bash
# A tenant that burns CPU, memory, pids and disk past its plan is held at the plan, and its neighbour stays served.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

hog=$unique-hog
quiet=$unique-quiet
make_plan e2e
make_plan e2e-hog --memory 192M --cpu 500m --pids 96 --disk 96M --inodes 4000 --instances 2
make_tenant_of "$hog" e2e-hog
make_tenant_of "$quiet" e2e
# Without limits of its own: what holds it is the plan.
cp -r "$root/tests/e2e/app" "$scratch/hog"
sed -i '/^\[limits\]/,$d' "$scratch/hog/cloister.toml"
expect "deploy the hog" deploy_test_app "$hog" hog "$scratch/hog"
expect "deploy the neighbour" deploy_test_app "$quiet" neighbour
url=$(app_url "$quiet" neighbour)
wait_for 20 "the neighbour answers" answers "$url/" || true
in_hog() { timeout 60 "$bin/cloister" --server "$server" --token "$(cat "$state/cloisterd/admin-token")" --tenant "$hog" exec hog -- "$@" </dev/null; }

# Median of the seconds a request takes, after N of them one by one.
latency() { # N
  for _ in $(seq "$1"); do fetch "$url/" -o /dev/null -w '%{http_code} %{time_total}\n' 2>/dev/null || echo "000 10"; done >"$scratch/latency"
  awk '$1 == 200 {print $2}' "$scratch/latency" | sort -n | awk '{v[NR] = $1} END {print NR ? v[int((NR + 1) / 2)] : 10}'
}
# Twice the quiet value, but not less than what the scheduler alone may add on a machine with few cores.
neighbour_served() { # NAME
  local now limit
  now=$(latency 100)
  limit=$(awk -v q="$baseline" 'BEGIN { l = 2 * q; print l < 0.010 ? 0.010 : l }')
  expect_within "the neighbour's median latency beside $1, quiet $baseline s" "$now" 0 "$limit"
  expect_equal "no request of the neighbour fails beside $1" 0 "$(grep -cv '^200 ' "$scratch/latency")"
}
latency 20 >/dev/null
baseline=$(latency 200)

# CPU: four busy loops on a plan of half a core
cpu_used() { cloister --tenant "$hog" -o json usage --meter cpu 2>/dev/null | jq '[.items[].quantity | tonumber] | add // 0'; }
settled_cpu() { # Until two readings, an interval apart, agree to 1 % (the app idles)
  local last=-1 now end=$((SECONDS + 40))
  while [ "$SECONDS" -lt "$end" ]; do
    now=$(cpu_used)
    awk -v a="$last" -v b="$now" 'BEGIN { exit !(a >= 0 && b - a < 50000000) }' && break
    last=$now
    sleep 5
  done
  echo "$now"
}
before=$(settled_cpu)
in_hog sh -c 'for i in 1 2 3 4; do timeout 12 perl -e "1 while 1" & done; wait' >/dev/null 2>&1 &
burner=$!
children+=("$burner")
sleep 2
neighbour_served "a burner of CPU"
wait "$burner"
children=()
after=$(settled_cpu)
expect_within "12 s of four loops cost half a core, in CPU seconds" "$(awk -v a="$after" -v b="$before" 'BEGIN {print (a - b) / 1e9}')" 0.5 7.5

# Processes
forked=$(in_hog perl -e '$| = 1; my $n = 0; for (1 .. 3000) { my $p = fork; last unless defined $p; if (!$p) { sleep 20; exit } $n++ } print "$n\n"; kill 9, -getpgrp' 2>/dev/null | head -n 1)
expect_within "forks are refused below the plan's 96" "${forked:-none}" 1 96
neighbour_served "a fork bomb"

# Memory
code=0
in_hog perl -e '$x = "a" x (1 << 30); print "took it all\n"; sleep 2' >"$scratch/memory" 2>&1 || code=$?
expect_equal "1 GiB is not to be had on 192 MiB" 0 "$(grep -c 'took it all' "$scratch/memory")"
expect_within "who asks for it ends" "$code" 1 255
neighbour_served "a memory hog"

# Disk and inodes
wait_for 60 "the hog runs again" has_running "$hog" hog web 1 || true
expect_match "96 MiB of disk are not passed" 'No space left|quota exceeded' "$(in_hog sh -c 'head -c 1G /dev/zero >/app/fill; sleep 2' 2>&1 | tail -n 1)"
size=$(in_hog sh -c 'wc -c </app/fill; rm -f /app/fill' 2>/dev/null)
expect_within "what was written is within the plan" "${size:-none}" 0 100663296
made=$(in_hog perl -e 'my $n = 0; mkdir "/app/many"; for (1 .. 20000) { open my $f, ">", "/app/many/$_" or last; $n++ } print "$n\n"; unlink glob "/app/many/*"' 2>/dev/null)
expect_within "files are refused within the plan's 4000" "${made:-none}" 1 4000
neighbour_served "a disk hog"

# It dies alone, and its owner reads why
wait_for 60 "the hog runs again" has_running "$hog" hog web 1 || true
expect_equal "the hog serves again" 200 "$(status_of "$(app_url "$hog" hog)/")"
expect_equal "the neighbour's instance never restarted" 0 "$(json_of '[.items[].restarts] | add' --tenant "$quiet" ps neighbour)"
hits() { cloister --tenant "$hog" -o json usage --app hog --meter "$1" 2>/dev/null | jq '[.items[].quantity | tonumber] | add // 0'; } # METER
hit() { [ "$(hits "$1")" -gt 0 ]; }
for meter in cpu_throttles pids_refused oom_kills disk_full; do
  expect "the hog's usage says that it met its limit: $meter" wait_for 30 "a hit of $meter" hit "$meter"
done
oom_seen() {
  { json_of '.items[].kind' --tenant "$hog" events
    json_of '.items[] | select(.meter == "oom_kills" and .quantity != "0") | .meter' --tenant "$hog" usage
  } | grep -q oom
}
expect "the hog's events or usage tell of the memory limit" wait_for 40 "an OOM kill in events or usage" oom_seen
finish
