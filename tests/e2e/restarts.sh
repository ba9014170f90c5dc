#!/bin/bash
# kill -9 of each Cloister process in turn, under a bounded request loop: no failed request, no lost log line, no stopped
# instance; usage goes on and the state converges.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e
make_tenant_of "$tenant" e2e
expect "deploy" deploy_test_app "$tenant" shop
expect "two web instances and a ticker" cloister --tenant "$tenant" scale web=2 ticker=1 --app shop
url=$(app_url "$tenant" shop)
wait_for 30 "two web instances" has_running "$tenant" shop web 2 || true
wait_for 30 "a ticker" has_running "$tenant" shop ticker 1 || true
wait_for 20 "the app answers" answers "$url/" || true

main_pid() { # SERVICE
  if have_systemd; then
    systemctl show --property=MainPID --value "$1"
  else
    cat "$run/sv/$1/supervise/pid" 2>/dev/null
  fi
}
came_back() { # SERVICE OLD-PID
  local pid
  pid=$(main_pid "$1")
  [ -n "$pid" ] && [ "$pid" != 0 ] && [ "$pid" != "$2" ] && [ -d "/proc/$pid" ]
}
api_ready() { http_good "$server/readyz"; }
# id, restarts and state of every instance: what a restart must leave as it was.
instances() { json_of '[.items[] | select(.desired == "run") | "\(.id) \(.restarts) \(.state)"] | sort | .[]' --tenant "$tenant" ps shop; }
cpu_used() { cloister --tenant "$tenant" -o json usage --meter cpu 2>/dev/null | jq '[.items[].quantity | tonumber] | add // 0'; }

before=$(instances)
began=$(date -u +%FT%TZ)
request_loop "$url/" "$scratch/requests" "$scratch/stop" 20000 &
loop=$!
cloister_exec --tenant "$tenant" logs -f shop --process ticker --since "$began" -o json >"$scratch/followed" 2>"$scratch/followed.err" </dev/null &
follower=$!
children+=("$loop" "$follower")
# No later: the first kill is to come while what a new connection repeats still reaches back before --since.
wait_for 10 "the first followed line" test -s "$scratch/followed" || true

for service in cloisterd cloister-node cloister-launcher cloisterd; do
  pid=$(main_pid "$service")
  if ! kill -9 "$pid" 2>/dev/null; then
    fail "kill -9 of $service" "no process $pid"
    continue
  fi
  expect "$service is back after kill -9" wait_for 30 "a new $service" came_back "$service" "$pid"
  expect "the API serves" wait_for 30 "readyz" api_ready
  expect "the node is ready" wait_for 60 "the node" node_ready
  sleep 2
  expect_equal "the kill of $service changed no instance" "$before" "$(instances)"
done

# Each still does its work
used=$(cpu_used)
grew() { [ "$(cpu_used)" -gt "$used" ]; }
expect "usage goes on" wait_for 60 "more CPU time" grew
expect "the state converges: scale" cloister --tenant "$tenant" scale web=3 --app shop
expect "a third instance runs" wait_for 30 "three" has_running "$tenant" shop web 3
expect_equal "exec works" yes "$(cloister --tenant "$tenant" exec shop -- echo yes 2>&1 </dev/null)"
expect "a deploy works" deploy_test_app "$tenant" shop

touch "$scratch/stop"
wait "$loop"
sleep 2
kill "$follower" 2>/dev/null
wait "$follower" 2>/dev/null
children=()
expect_within "requests were made all the while" "$(wc -l <"$scratch/requests")" 200 20000
expect_equal "none of them failed" 0 "$(grep -cv '^200 ' "$scratch/requests")"
grep -v '^200 ' "$scratch/requests" | sort | uniq -c | head -n 5
head -n 3 "$scratch/requests.err" 2>/dev/null

# "tick N" of one instance, in the order of the log: the steps that are not by one ("80>82,"; "none"), and the count of lines.
gaps() {
  sed -n 's/.*"line":"tick \([0-9]*\)".*/\1/p' |
    awk 'NR > 1 && $1 != last + 1 {gaps = gaps last ">" $1 ","} {last = $1} END {print (gaps == "" ? "none" : gaps), NR}'
}
ticker=$(awk '{print $1}' <<<"$before" | while read -r id; do
  [ "$(json_of ".items[] | select(.id == \"$id\") | .process" --tenant "$tenant" ps shop)" = ticker ] && echo "$id"
done | head -n 1)
[ -n "$ticker" ] || ticker=$(jq -r .instance "$scratch/followed" 2>/dev/null | head -n 1)
read -r lost lines < <(cloister --tenant "$tenant" -o json logs shop --process ticker --since "$began" 2>/dev/null | grep -F "\"$ticker\"" | gaps)
expect_equal "the log has every line of the ticker" none "$lost"
expect_within "and they are many" "$lines" 100 1000000
read -r lost lines < <(grep -F "\"$ticker\"" "$scratch/followed" | gaps)
expect_equal "logs -f, followed through it all, missed none" none "$lost"
expect_within "and showed many" "$lines" 100 1000000
finish
