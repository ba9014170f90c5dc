#!/bin/bash
# What a tenant does all day: deploy, exec, run, logs -f, scale, config, rollback; and what the provider does: suspend, resume.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e
make_tenant_of "$tenant" e2e
mine() { cloister --tenant "$tenant" "$@"; }

expect "deploy" deploy_test_app "$tenant" shop
url=$(app_url "$tenant" shop)
wait_for 20 "the app answers" answers "$url/" || true
expect_match "the first release answers" '^in-[^ ]+ v1 -$' "$(fetch "$url/" 2>&1)"

# exec and run
expect_equal "exec gives the output" hello "$(mine exec shop -- echo hello 2>&1 </dev/null)"
code=0
mine exec shop -- sh -c 'exit 7' >/dev/null 2>&1 </dev/null || code=$?
expect_equal "exec passes the exit code" 7 "$code"
expect_equal "exec passes standard input" "a line" "$(echo "a line" | mine exec shop -- cat 2>&1)"
expect_equal "exec runs in the app's instance" "$(json_of '.items[] | select(.process == "web") | .id' --tenant "$tenant" ps shop)" \
  "$(mine exec shop -- sh -c 'echo $CLOISTER_INSTANCE' 2>&1 </dev/null)"
expect_equal "exec is the ordinary user" 1000 "$(mine exec shop -- id -u 2>&1 </dev/null)"
expect_equal "exec has no capability" 0000000000000000 \
  "$(mine exec shop -- sed -n 's/^CapEff:\t//p' /proc/self/status 2>&1 </dev/null)"
code=0
mine exec shop -- /no/such/program >/dev/null 2>&1 </dev/null || code=$?
expect_within "exec of what is not there fails" "$code" 1 255
# More than any buffer on the way holds.
expect_equal "exec gives every byte" 20000000 "$(mine exec shop -- head -c 20000000 /dev/zero 2>/dev/null </dev/null | wc -c)"
expect_match "run has an instance of its own" '^one-off 1000 v1$' "$(mine run shop -- sh -c 'echo one-off $(id -u) $CLOISTER_RELEASE' 2>&1 </dev/null)"

# logs
cloister_exec --tenant "$tenant" logs -f shop --process web >"$scratch/follow" 2>&1 </dev/null &
children+=($!)
sleep 1
fetch "$url/log?text=marker-$unique" >/dev/null 2>&1
followed() { grep -q "log marker-$unique" "$scratch/follow"; }
expect "logs -f shows a line as it comes" wait_for 5 "the line" followed
end_children
expect_equal "logs shows it once" 1 "$(mine logs shop --since 5m 2>/dev/null </dev/null | grep -c "log marker-$unique")"
expect_equal "logs --lines 1 is one line" 1 "$(mine logs shop --lines 1 --process web 2>/dev/null </dev/null | wc -l)"
expect_equal "logs as JSON are LogLines" stdout "$(mine -o json logs shop --since 5m 2>/dev/null | jq -r "select(.line == \"log marker-$unique\") | .stream")"

# scale, config, rollback; nobody who asks in between is refused
request_loop "$url/" "$scratch/requests" "$scratch/stop" 3000 &
loop=$!
children+=("$loop")
expect "scale web=3" mine scale web=3 --app shop
wait_for 20 "3 instances run" has_running "$tenant" shop web 3 || true
expect_equal "three run" 3 "$(running_count "$tenant" shop web)"
addresses=$(json_of '[.items[] | select(.desired == "run") | .address] | unique | length' --tenant "$tenant" ps shop)
expect_equal "each has its own address" 3 "$addresses"
seen() { for _ in $(seq 30); do fetch "$url/" 2>/dev/null; done | cut -d ' ' -f 1 | sort -u | wc -l; }
expect_equal "the edge gives all three work" 3 "$(seen)"
expect "config set" mine config set GREETING=hello --app shop
greets() { fetch "$url/" 2>/dev/null | grep -q "v2 hello"; }
expect "the new release has the variable" wait_for 20 "v2" greets
expect_equal "config ls" GREETING=hello "$(mine config ls --app shop 2>&1)"
expect "secret set" mine secret set KEY=s3cret --app shop
expect_equal "secret ls names it" KEY "$(json_of '.items[].name' --tenant "$tenant" secret ls --app shop)"
expect_equal "nothing shows its value" 0 "$(mine -o json secret ls --app shop 2>&1 | grep -c s3cret)"
expect "rollback v1" mine rollback v1 --app shop
back() { ! fetch "$url/" 2>/dev/null | grep -q hello; }
expect "the variable is gone again" wait_for 20 "v1's configuration" back
expect_equal "a rollback is a release" 4 "$(json_of '[.items[] | select(.current)][0].version' --tenant "$tenant" release ls --app shop)"
expect "scale web=1" mine scale web=1 --app shop
touch "$scratch/stop"
wait "$loop"
children=()
expect_within "requests were made meanwhile" "$(wc -l <"$scratch/requests")" 50 3000
expect_equal "none of them failed" 0 "$(grep -cv '^200 ' "$scratch/requests")"

# domains
host=www.$unique.example.org
expect "domain add" mine domain add "$host" --app shop
served() { [ "$(status_of "http://$host:$edge_port/")" = 200 ]; }
expect "the domain serves the app" wait_for 10 "$host" served
expect "domain rm" mine domain rm "$host" --app shop
gone() { [ "$(status_of "http://$host:$edge_port/")" != 200 ]; }
expect "the domain serves it no more" wait_for 10 "$host" gone

# suspend, resume
releases=$(json_of '.items | length' --tenant "$tenant" release ls --app shop)
expect "tenant suspend" cloister tenant suspend "$tenant"
stopped() { [ "$(json_of '[.items[] | select(.state != "stopped")] | length' --tenant "$tenant" ps shop)" = 0 ]; }
expect "a suspended tenant's instances stop" wait_for 40 "stopped" stopped
expect_match "its app is not served" '^(404|503)$' "$(status_of "$url/")"
expect_equal "its releases are kept" "$releases" "$(json_of '.items | length' --tenant "$tenant" release ls --app shop)"
expect "tenant resume" cloister tenant resume "$tenant"
expect "a resumed tenant's app answers" wait_for 40 "the app" answers "$url/"

expect_match "audit has the suspension" "POST /v1/tenants/$tenant/suspend" "$(json_of '.items[].action' audit)"
expect_match "events tell of the release" release "$(json_of '.items[].kind' --tenant "$tenant" events)"
expect_match "and those of one app" release "$(json_of '.items[].kind' --tenant "$tenant" events shop)"
expect "another app has none of them" test -z "$(json_of '.items[].kind' --tenant "$tenant" events --app nobody)"
expect "app rm" mine app rm shop --yes
expect_refused "a removed app is not found" not_found mine app show shop
finish
