#!/bin/bash
# A release that crashes, a bad secret and a bad variable, each under a bounded request loop: refused with exit code 1 and the
# reason on the screen, no failed request, and the release before stays whole over restarts, scaling and its node's end.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e
make_tenant_of "$tenant" e2e
# shellcheck source=tests/e2e/whole_release.sh
. "$(dirname "${BASH_SOURCE[0]}")/whole_release.sh"

make_shop 3s
url=$(app_url "$tenant" shop)
wait_for 20 "the app answers" answers "$url/" || true

request_loop "$url/" "$scratch/requests" "$scratch/stop" 20000 &
loop=$!
children+=("$loop")

refused "a bad secret" "KEY or MODE is bad" secret set KEY=bad --app shop
whole "a bad secret" 2
refused "a bad variable" "KEY or MODE is bad: bad" config set MODE=bad --app shop
whole "a bad variable" 2
manifest 'perl server.pl & sleep 1.5; echo "and it fell over" >&2; exit 3' 3s
refused "a release that ends after it accepted" "and it fell over" deploy "$source" --app shop
whole "a release that ends after it accepted" 2

same_settings
expect "restart" mine restart shop
whole "after a restart" 2
expect "scale web=3" mine scale web=3 --app shop
whole "after scaling" 3
touch "$scratch/stop"
wait "$loop"
children=()
expect_within "requests were made all the while" "$(wc -l <"$scratch/requests")" 100 20000
expect_equal "none of them failed" 0 "$(grep -cv '^200 ' "$scratch/requests")"
grep -v '^200 ' "$scratch/requests" | sort | uniq -c | head -n 5

# Its processes end, as at a host's reboot: each starts again with what its release says.
for id in $(ids); do mine exec shop --instance "$id" -- sh -c 'kill -9 $(cat /proc/[0-9]*/stat | sed -n "s/^\([0-9]*\) (perl).*/\1/p")' >/dev/null 2>&1 </dev/null; sleep 3; done
whole "after its processes were killed" 3

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
manifest 'echo "no database" >&2; exit 4' 3s
mine deploy "$source" --app crash >"$scratch/said" 2>&1 </dev/null
expect_match "a first release that is refused says that nothing serves" "exit code 4.*nothing serves" "$(cat "$scratch/said")"

# More than half of the plan
manifest "$good" 3s 200M
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
