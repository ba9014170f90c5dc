#!/bin/bash
# A newcomer's three apps answer through the edge: the ones that `up` deployed, or else deployed here.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

owner=demo
if ! cloister tenant show "$owner" >/dev/null 2>&1; then
  make_plan e2e-examples --memory 1G --build-memory 2G --build-disk 2G --build-time 900s --disk 1G --inodes 200000
  owner=$unique
  make_tenant_of "$owner" e2e-examples
fi

for app in static-site nginx node-web; do
  if [ -z "$(app_url "$owner" "$app")" ] || [ "$(json_of .release --tenant "$owner" app show "$app")" = 0 ]; then
    expect "deploy examples/$app" cloister --tenant "$owner" deploy "$root/examples/$app" --app "$app"
  fi
  url=$(app_url "$owner" "$app")
  wait_for 60 "$app answers" answers "$url/" || true
  expect_equal "$app answers" 200 "$(status_of "$url/")"
  expect_match "$app is healthy" '^ok' "$(fetch "$url/healthz" 2>&1)"
  expect_equal "$app is shown as running" running "$(json_of .status --tenant "$owner" app show "$app")"
done

expect_match "the static site's page was made by its build" 'Made by the build' "$(fetch "$(app_url "$owner" static-site)/" 2>&1)"
expect_match "nginx is Debian's" '^[Ss]erver: nginx' "$(fetch "$(app_url "$owner" nginx)/" -I 2>&1)"
node=$(fetch "$(app_url "$owner" node-web)/" 2>&1)
expect_equal "the Node app runs as an ordinary user" 1000 "$(jq -r .uid <<<"$node" 2>/dev/null)"
expect_equal "a path that is not there is the app's own 404" 404 "$(status_of "$(app_url "$owner" nginx)/absent")"
expect_match "a host that no app has is not served" '^(404|421|503)$' "$(status_of "http://nobody.nowhere.localhost:$edge_port/")"
expect_match "nginx's access log is read by logs" 'GET / ' "$(cloister --tenant "$owner" logs nginx --since 10m 2>&1)"
checks=$(json_of '[.checks[].state] | map(select(. == "enforced" or . == "absent" or . == "off")) | length' posture)
expect_within "posture names its checks" "$checks" 1 1000
expect_equal "every protection that is not in force says why" 0 \
  "$(json_of '[.checks[] | select(.state != "enforced" and ((.reason // "") == ""))] | length' posture)"
finish
