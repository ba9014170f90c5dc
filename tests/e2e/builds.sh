#!/bin/bash
# Builds: what did not change is not done again, what is kept stays within the plan, and a build can be stopped.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e-builds --releases 3 --image-disk 64M
make_tenant_of "$tenant" e2e-builds
mine() { cloister --tenant "$tenant" "$@"; }

app=$scratch/app
mkdir "$app"
cp "$root"/tests/e2e/app/server.pl "$app/"
echo one >"$app/lock"
cat >"$app/cloister.toml" <<'TOML'
[build]
commands = [
  { run = "echo ran-tools; ls -A /app | wc -l > /tools", files = [] },
  { run = "echo ran-lock; cat lock > /app/made; ls /app > /app/seen", files = ["lock"] },
  "echo ran-rest; printf 'windows\\r\\n10%%\\r20%%\\r\\n'; cat made seen /tools",
]
[processes]
web = "exec perl server.pl"
TOML

# shellcheck disable=SC2120  # expect passes arguments
deploy() { mine deploy "$app" --app shop "$@" >"$scratch/log" 2>&1 </dev/null; }
said() { cat "$scratch/log"; }
has() { grep -c "$1" "$scratch/log" || true; }
version() { json_of .release --tenant "$tenant" app show shop; }
answers_version() { fetch "$1" 2>/dev/null | grep -q " v$2 "; }

expect "deploy with steps" deploy
url=$(app_url "$tenant" shop)
wait_for 20 "the app answers" answers "$url/" || true
for step in tools lock rest; do expect_equal "the first build ran $step" 1 "$(has "^ran-$step")"; done
expect_match "a step sees the files that it names and no others" '^one lock made seen 0 $' \
  "$(sed -n '/^ran-rest/,/^Freezing/p' "$scratch/log" | grep -vE 'ran-rest|windows|%|Freezing' | tr '\n' ' ')"
expect_equal "line ends of other systems are line ends" "windows 10% 20% " "$(grep -E '^(windows|[12]0%)$' "$scratch/log" | tr '\n' ' ')"
expect_equal "nothing is waited for after the build" 0 "$(sed -n '/^ran-/,$p' "$scratch/log" | grep -c waiting || true)"

# Unchanged: first byte of the new release.
start=$(date +%s%N)
mine deploy "$app" --app shop >"$scratch/log" 2>&1 </dev/null &
children+=($!)
wait_for 20 "the unchanged release answers" answers_version "$url/" 2 || true
expect_within "an unchanged deploy serves within 3 s" "$((($(date +%s%N) - start) / 1000000))" 0 3000
wait "${children[-1]}" || true
expect_equal "an unchanged deploy runs nothing" 0 "$(has '^ran-')"
expect_match "and says so" 'Nothing has changed since build' "$(said)"

echo '# changed' >>"$app/server.pl"
expect "deploy of another source file" deploy
expect_equal "the steps are not run again" "0 0 1" "$(has '^ran-tools') $(has '^ran-lock') $(has '^ran-rest')"
echo two >"$app/lock"
expect "deploy of another lock" deploy
expect_equal "the step that reads it is" "0 1 1" "$(has '^ran-tools') $(has '^ran-lock') $(has '^ran-rest')"
expect "config set" mine config set MODE=fast --app shop
expect "deploy with another configuration" deploy
expect_equal "every step sees it" "1 1 1" "$(has '^ran-tools') $(has '^ran-lock') $(has '^ran-rest')"
expect "deploy --no-cache" deploy --no-cache
expect_equal "--no-cache runs all" "1 1 1" "$(has '^ran-tools') $(has '^ran-lock') $(has '^ran-rest')"
sed -i 's/"lock"\]/"absent"]/' "$app/cloister.toml"
expect_refused "files that are not there are refused" 'commands\[1\].files.*absent' mine deploy "$app" --app shop
sed -i 's/"absent"\]/"lock"]/' "$app/cloister.toml"

# What is kept.
for round in 1 2 3 4; do
  echo "# $round" >>"$app/server.pl"
  # shellcheck disable=SC2119
  deploy || fail "deploy $round" "$(tail -n 3 "$scratch/log")"
done
expect_equal "the plan's number of releases keeps its images" 3 \
  "$(json_of '[.items[] | select(.image_kept)] | length' --tenant "$tenant" release ls shop)"
expect_refused "an older one cannot come back" 'image of v1 is no longer kept' mine rollback v1 --app shop
expect "a kept one can" mine rollback --app shop
expect "an image disk too small" cloister plan set e2e-builds --image-disk 1K
expect_refused "refuses a build before it runs" 'quota|image' mine deploy "$app" --app shop --no-cache
expect "and unchanged source takes no more" deploy
expect "a larger image disk" cloister plan set e2e-builds --image-disk 64M

# Stopping.
sed -i 's/"echo ran-rest; /"echo ran-rest; sleep 60; /' "$app/cloister.toml"
before=$(version)
building() { [ "$(json_of '.items[0].state' --tenant "$tenant" build ls shop)" = running ]; }
CLOISTER_TENANT=$tenant cloister_exec deploy "$app" --app shop >"$scratch/log" 2>&1 </dev/null &
child=$!
children+=("$child")
wait_for 20 "the build runs" grep -q '^ran-rest' "$scratch/log" || true
kill -INT "$child"
code=0
wait "$child" || code=$?
expect_equal "deploy that is interrupted fails" 1 "$code"
expect_match "and says why" 'build_cancelled' "$(said)"
expect_equal "build ls shows it" cancelled "$(json_of '.items[0].state' --tenant "$tenant" build ls shop)"
expect_match "build log gives its output" '^ran-rest' "$(mine build log --app shop 2>&1)"
expect "deploy --no-wait" mine deploy "$app" --app shop --no-wait
wait_for 20 "the build runs" building || true
expect "build cancel" mine build cancel --app shop
expect_refused "once" 'already' mine build cancel --app shop
expect_equal "build show its state" cancelled "$(json_of .state --tenant "$tenant" build show --app shop)"
expect_equal "a cancelled build is never released" "$before" "$(version)"
finish
