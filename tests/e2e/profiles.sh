#!/bin/bash
# An app's own list of system calls: learned from its build and its requests, shown, enforced; what it lacks is refused and told.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_plan e2e
make_tenant_of "$unique" e2e
as() { cloister --tenant "$unique" "$@"; }
profile() { json_of "$1" --tenant "$unique" app profile show shop; }
listed() { profile "[.calls[] | select(.listed) | .name] | index(\"$1\") != null"; }
posture() { json_of "$1" --tenant "$unique" posture shop; }
flagged() { [ "$(profile .flagged)" -gt 0 ]; }
knows() { [ "$(listed "$1")" = true ]; }

expect "an app that is to learn from its first build" as app create shop
expect "learn" as app profile learn shop --for 1h
expect_equal "the class is open meanwhile" "$(posture .calls.class)" "$(posture .calls.open)"
expect_refused "nothing can be enforced before something was learned" 'learn' as app profile enforce shop
expect "deploy" deploy_test_app "$unique" shop
url=$(app_url "$unique" shop)
wait_for 30 "shop answers" answers "$url/" || true
expect_equal "it answers while it is watched" 200 "$(status_of "$url/healthz")"
wait_for 30 "what requests need is learned" knows accept4 || true
expect_equal "a server accepts connections" true "$(listed accept4)"
expect_equal "what it was never asked for is not learned" false "$(listed times)"
expect_match "the build was watched too" '"build"' "$(as app profile show shop -o json)"

expect "enforce" as app profile enforce shop
wait_for 30 "shop answers" answers "$url/" || true
expect_equal "it serves within its own list" 200 "$(status_of "$url/")"
expect_within "calls open, of its class's $(posture .calls.class)" "$(posture .calls.open)" 40 140
expect_equal "nothing was flagged" 0 "$(profile .flagged)"
fetch "$url/rusage" >/dev/null 2>&1
wait_for 30 "the refused call is told" flagged || true
expect_match "times(2), which no request had needed, is refused" 'times: not in the app.s list, refused' "$(as events -o json 2>&1)"
expect_equal "and the app goes on serving" 200 "$(status_of "$url/")"

expect_refused "a call of no app is not allowed" 'init_module' as app profile allow init_module --app shop
expect "allow it" as app profile allow times --app shop
wait_for 30 "shop answers" answers "$url/" || true
expect_match "now it answers" '^[0-9.]+$' "$(fetch "$url/rusage" 2>&1)"
expect_equal "nothing is flagged any more" 0 "$(profile .flagged)"
expect_match "what operators run has the class's list" 'made' "$(as exec shop -- sh -c 'mkdir /tmp/x && echo made' 2>&1)"
expect "off" as app profile off shop
wait_for 30 "shop answers" answers "$url/" || true
expect_equal "the class is open again" "$(posture .calls.class)" "$(posture .calls.open)"
finish
