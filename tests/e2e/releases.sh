#!/bin/bash
# A release that crashes, a bad secret and a bad variable, each under a bounded request loop: refused with exit code 1 and the
# reason on the screen, no failed request, and the release before stays whole over restarts, scaling and its node's end.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e
make_tenant_of "$tenant" e2e
mine() { cloister --tenant "$tenant" "$@"; }

# The test app, told by its environment to end at its start or after it accepted.
source=$scratch/app
cp -r "$root/tests/e2e/app" "$source"
# shellcheck disable=SC2016  # for the app's shell
web='case $KEY$MODE in *bad*) echo "KEY or MODE is bad: $MODE" >&2; exit 3;; esac; exec perl server.pl'
manifest() { # COMMAND
  printf 'base = "debian-12"\n[processes]\nweb = '"'''"'%s'"'''"'\n[http]\nsettle = "3s"\n[limits]\nmemory = "64M"\ncpu = 0.25\ndisk = "16M"\n' "$1" \
    >"$source/cloister.toml"
}
manifest "$web"

mine app create shop >/dev/null 2>&1
expect "secret set" mine secret set KEY=good-key --app shop
expect "config set" mine config set MODE=good GREETING=hello --app shop
expect "deploy" deploy_test_app "$tenant" shop "$source"
expect "scale web=2" mine scale web=2 --app shop
url=$(app_url "$tenant" shop)
wait_for 20 "the app answers" answers "$url/" || true

values() { mine exec shop --instance "$1" -- sh -c 'echo "$KEY $MODE $GREETING"' 2>&1 </dev/null; }
ids() { json_of '.items[] | select(.state == "running" and .desired == "run" and .process == "web") | .id' --tenant "$tenant" ps shop; }
whole() { # WHEN
  local id
  for id in $(ids); do expect_equal "$1: an instance has its release's environment" "good-key good hello" "$(values "$id")"; done
}
version() { json_of .release --tenant "$tenant" app show shop; }

request_loop "$url/" "$scratch/requests" "$scratch/stop" 20000 &
loop=$!
children+=("$loop")

refused() { # NAME PATTERN COMMAND...
  local name=$1 pattern=$2 before code=0
  shift 2
  before=$(version)
  timeout 200 "$bin/cloister" --server "$server" --token "$(cat "$state/cloisterd/admin-token")" --tenant "$tenant" "$@" >"$scratch/said" 2>&1 </dev/null || code=$?
  expect_equal "$name ends with 1" 1 "$code"
  expect_match "$name: the reason is shown" "ended with exit code 3" "$(cat "$scratch/said")"
  expect_match "$name: the app's last lines are shown" "$pattern" "$(cat "$scratch/said")"
  expect_match "$name: what serves is said" "v$before still serves \(2 of 2 instances ready\)" "$(cat "$scratch/said")"
  expect_equal "$name leaves the release" "$before" "$(version)"
  whole "$name"
}
refused "a bad secret" "KEY or MODE is bad" secret set KEY=bad --app shop
refused "a bad variable" "KEY or MODE is bad: bad" config set MODE=bad --app shop
manifest 'perl server.pl & sleep 1.5; echo "and it fell over" >&2; exit 3'
refused "a release that ends after it accepted" "and it fell over" deploy "$source" --app shop
manifest "$web"

expect_equal "secrets are as they were" KEY "$(json_of '[.items[].name] | join(" ")' --tenant "$tenant" secret ls --app shop)"
expect_equal "config is as it was" "GREETING=hello MODE=good" "$(mine config ls --app shop 2>/dev/null | sort | tr '\n' ' ' | sed 's/ $//')"
expect "restart" mine restart shop
whole "after a restart"
expect "scale web=3" mine scale web=3 --app shop
wait_for 20 "three" has_running "$tenant" shop web 3 || true
whole "after scaling"
touch "$scratch/stop"
wait "$loop"
children=()
expect_within "requests were made all the while" "$(wc -l <"$scratch/requests")" 100 20000
expect_equal "none of them failed" 0 "$(grep -cv '^200 ' "$scratch/requests")"
grep -v '^200 ' "$scratch/requests" | sort | uniq -c | head -n 5

# Its processes end, as at a host's reboot: each starts again with what its release says.
for id in $(ids); do mine exec shop --instance "$id" -- sh -c 'kill -9 $(cat /proc/[0-9]*/stat | sed -n "s/^\([0-9]*\) (perl).*/\1/p")' >/dev/null 2>&1 </dev/null; sleep 3; done
wait_for 30 "three" has_running "$tenant" shop web 3 || true
whole "after its processes were killed"


# Names, rollback and what changes nothing
expect_refused "a secret's name is no variable's" 'KEY.*secret unset KEY' mine config set KEY=open --app shop
expect_refused "a variable's name is no secret's" 'MODE.*config unset MODE' mine secret set MODE=hidden --app shop
before=$(version)
expect "secret set to what it is" mine secret set KEY=good-key --app shop
expect_equal "makes no release" "$before" "$(version)"
expect "secret set to another" mine secret set KEY=other-key --app shop
expect_equal "it is in force" "other-key good hello" "$(values "$(ids | head -n 1)")"
expect "rollback" mine rollback --app shop
expect_equal "brings the secret back" "good-key good hello" "$(values "$(ids | head -n 1)")"

# A crash loop
expect_match "ps has the release's states" 'refused' "$(mine release ls --app shop 2>&1)"
manifest 'echo "no database" >&2; exit 4'
mine deploy "$source" --app crash >"$scratch/said" 2>&1 </dev/null
expect_match "a first release that is refused says that nothing serves" "exit code 4.*nothing serves" "$(cat "$scratch/said")"

# More than half of the plan
manifest "$web"
sed -i 's/memory = "64M"/memory = "200M"/' "$source/cloister.toml"
make_plan e2e-surge --memory 300M --surge 0
make_tenant_of "$tenant-2" e2e-surge
cloister --tenant "$tenant-2" app create big >/dev/null 2>&1
expect "deploy a big one" deploy_test_app "$tenant-2" big "$source"
cloister --tenant "$tenant-2" restart big >"$scratch/said" 2>&1 </dev/null
expect_match "it is said that it stops first" "web stops before the new release starts" "$(cat "$scratch/said")"
expect "a surge" cloister plan set e2e-surge --surge
url=$(app_url "$tenant-2" big)
rm -f "$scratch/stop"
wait_for 20 "the big app answers" answers "$url/" || true
request_loop "$url/" "$scratch/surge" "$scratch/stop" 5000 &
loop=$!
children+=("$loop")
cloister --tenant "$tenant-2" restart big >"$scratch/said" 2>&1 </dev/null
expect_equal "with a surge it does not" 0 "$(grep -c "stops before" "$scratch/said")"
touch "$scratch/stop"
wait "$loop"
children=()
expect_equal "and no request fails" 0 "$(grep -cv '^200 ' "$scratch/surge")"

# Removal asks
expect_refused "a plan in use is not removed" plan_in_use cloister plan rm e2e-surge
code=0
cloister tenant rm "$tenant-2" >"$scratch/said" 2>&1 </dev/null || code=$?
expect_equal "tenant rm wants --yes where nobody can be asked" 2 "$code"
expect_equal "the tenant is still there" active "$(json_of .state tenant show "$tenant-2")"
finish
