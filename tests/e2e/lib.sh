# Shared by the end-to-end tests: results, waiting, requests through the edge, a tenant of the test's own. Sourced.
#
# A test prints "PASS name", "FAIL name: why" or "SKIP name: why"; `finish` prints the counts and exits with 1 after a
# failure. Tenants and background processes that a test makes end with it, whichever way it ends.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export root
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
# shellcheck source=deploy/config.sh
. "$root/deploy/config.sh"
# shellcheck source=deploy/services.sh
. "$root/deploy/services.sh"

passed=0 failed=0 skipped=0
tenants=() children=()
scratch=$(mktemp -d)
# shellcheck disable=SC2034  # the name of a test's own tenant
unique=e2e$$
server=http://127.0.0.1:$api_port

pass() {
  passed=$((passed + 1))
  echo "PASS $1"
}
fail() { # NAME WHY
  failed=$((failed + 1))
  echo "FAIL $1: ${2-}"
}
skip_test() { # NAME WHY
  skipped=$((skipped + 1))
  echo "SKIP $1: $2"
}

expect() { # NAME COMMAND...
  local name=$1 output code=0
  shift
  output=$("$@" 2>&1) || code=$?
  if [ "$code" -eq 0 ]; then pass "$name"; else fail "$name" "\"$*\" ended with $code: $(tail -n 3 <<<"$output")"; fi
}

expect_equal() { # NAME WANTED FOUND
  if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "wanted \"$2\", found \"$3\""; fi
}

expect_match() { # NAME PATTERN TEXT
  if grep -qE -- "$2" <<<"$3"; then pass "$1"; else fail "$1" "no match of \"$2\" in \"$(tail -n 5 <<<"$3")\""; fi
}

expect_within() { # NAME FOUND LEAST MOST
  if awk -v f="$2" -v l="$3" -v m="$4" 'BEGIN { exit !(f != "" && f + 0 >= l && f + 0 <= m) }'; then
    pass "$1 ($2)"
  else
    fail "$1" "$2 is not from $3 to $4"
  fi
}

# Refused with code 1 and words that match.
expect_refused() { # NAME PATTERN COMMAND...
  local name=$1 pattern=$2 output code=0
  shift 2
  output=$("$@" 2>&1 </dev/null) || code=$?
  if [ "$code" -eq 1 ] && grep -qE -- "$pattern" <<<"$output"; then
    pass "$name"
  else
    fail "$name" "ended with $code, wanted 1 and \"$pattern\": $(tail -n 3 <<<"$output")"
  fi
}

# A plan of the tests: made once a host, as plans stay, and set to these limits each time. Arguments win over defaults.
make_plan() { # NAME [--LIMIT VALUE]...
  local name=$1 arguments=() key
  shift
  local -A limits=([--memory]=512M [--cpu]=1 [--pids]=256 [--disk]=512M [--inodes]=50000 [--network]=200M [--instances]=8
    [--apps]=8 [--build-memory]=512M [--build-disk]=1G [--build-time]=120s)
  while [ $# -gt 1 ]; do
    limits[$1]=$2
    shift 2
  done
  for key in "${!limits[@]}"; do arguments+=("$key" "${limits[$key]}"); done
  cloister plan create "$name" "${arguments[@]}" >/dev/null 2>&1 || cloister plan set "$name" "${arguments[@]}" >/dev/null ||
    die "plan $name could not be made"
}

make_tenant_of() { # NAME PLAN
  cloister tenant create "$1" --plan "$2" >/dev/null || die "tenant $1 could not be created"
  tenants+=("$1")
}

deploy_test_app() { # TENANT APP [DIRECTORY]
  cloister --tenant "$1" deploy "${3:-$root/tests/e2e/app}" --app "$2" >"$scratch/deploy-$1-$2.log" 2>&1 </dev/null || {
    tail -n 15 "$scratch/deploy-$1-$2.log" >&2
    return 1
  }
}

json_of() { # FILTER CLI-ARGUMENT...
  local filter=$1
  shift
  cloister -o json "$@" 2>/dev/null | jq -r "$filter"
}

app_url() { json_of .url --tenant "$1" app show "$2"; } # TENANT APP

# Through the edge, whatever the resolver says about the host.
fetch() { # URL CURL-ARGUMENT...
  local url=$1 host
  shift
  host=${url#*://}
  host=${host%%[:/]*}
  curl -sS --max-time 10 --resolve "$host:$edge_port:127.0.0.1" "$@" "$url"
}
status_of() { fetch "$1" -o /dev/null -w '%{http_code}' 2>/dev/null || true; }
answers() { [ "$(status_of "$1")" = "${2:-200}" ]; }

running_count() { # TENANT APP PROCESS
  json_of "[.items[] | select(.process == \"$3\" and .state == \"running\" and .desired == \"run\")] | length" --tenant "$1" ps "$2"
}
has_running() { [ "$(running_count "$1" "$2" "$3")" = "$4" ]; } # TENANT APP PROCESS COUNT

# Requests one after the other until the file `stop` appears, at most `most` of them: "STATUS SECONDS" a line.
request_loop() { # URL OUTPUT STOP MOST
  local url=$1 output=$2 stop=$3 left=$4
  while [ ! -e "$stop" ] && [ "$left" -gt 0 ]; do
    fetch "$url" -o /dev/null -w '%{http_code} %{time_total}\n' >>"$output" 2>>"$output.err" || echo "000 0" >>"$output"
    left=$((left - 1))
    sleep 0.02
  done
}

end_children() {
  local child
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  children=()
}

# shellcheck disable=SC2317,SC2329  # called by the trap
clean_up() {
  local name
  end_children
  for name in "${tenants[@]}"; do
    timeout 120 "$bin/cloister" --server "$server" --token "$(cat "$state/cloisterd/admin-token")" tenant rm "$name" --yes \
      >/dev/null 2>"$scratch/cleanup.err" </dev/null || sed 's/^/cleaning up: /' "$scratch/cleanup.err" >&2
  done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
}
