#!/bin/bash
# The rules of deploy/prometheus: their syntax, their tests, and whether the tests would notice: each rule is broken in several
# ways (always true, another threshold, another wait), and every broken one must fail a test. Last, the syntax of the
# dashboards' expressions.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../../.." && pwd)
rules=$root/deploy/prometheus
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# As the tests find them: the same distance from each other.
place=$scratch/tests/unit/deploy/prometheus
mkdir -p "$place" "$scratch/deploy/prometheus"
cp "$here"/*_test.yaml "$place"

pristine() { cp "$rules"/*.yaml "$scratch/deploy/prometheus"; }
tests_pass() { (cd "$place" && promtool test rules "$@") >"$scratch/log" 2>&1; }

# The tests of one rule alone, for all of them take seconds. ("tests:" and what stands before it, then the groups that name it.)
only() { # RULE
  awk -v rule="$1" '
    function end() { if (group != "" && index(group, rule)) printf "%s", group; group = "" }
    /^  - name: / { end(); inside = 1 }
    { if (inside) group = group $0 "\n"; else print }
    END { end() }' "$2" >"$place/only.yaml"
}

survivors=0 broken=0
# FILE LINE WHAT SED-COMMAND: the rules with that change must fail.
must_fail() {
  local rule
  pristine
  rule=$(sed -n "1,$2s/^ *- \(alert\|record\): //p" "$rules/$1" | tail -n 1)
  if [[ $1 == *alerts* ]]; then only "alertname: $rule" "$here/alerts_test.yaml"; else only "$rule" "$here/recording_test.yaml"; fi
  sed -i "$2$4" "$scratch/deploy/prometheus/$1"
  if cmp -s "$rules/$1" "$scratch/deploy/prometheus/$1"; then
    echo "$1:$2: $3: changed nothing" && survivors=$((survivors + 1))
    return
  fi
  broken=$((broken + 1))
  if tests_pass only.yaml; then
    echo "$1:$2: $3: no test fails" && survivors=$((survivors + 1))
  elif ! promtool check rules "$scratch/deploy/prometheus/$1" >"$scratch/check" 2>&1; then
    echo "$1:$2: $3: not broken but unreadable" && survivors=$((survivors + 1))
  fi
}

break_all() { # FILE
  local number line threshold
  while IFS=: read -r number line; do
    must_fail "$1" "$number" "always true" 's/expr: .*/expr: vector(1)/'
    threshold=$(sed -n 's/.* > \(0\.[0-9]*\|[1-9][0-9]*\)$/\1/p' <<<"$line")
    if [ -n "$threshold" ]; then
      must_fail "$1" "$number" "a higher threshold" "s/> [0-9.]*\$/> $(awk -v t="$threshold" 'BEGIN {print t * 1.25}')/"
      must_fail "$1" "$number" "a lower threshold" "s/> [0-9.]*\$/> $(awk -v t="$threshold" 'BEGIN {print t * 0.8}')/"
    elif [[ $line == *'> 0' ]]; then
      must_fail "$1" "$number" "a threshold that is reached at once" 's/> 0$/>= 0/'
    fi
  done < <(grep -n 'expr: ' "$rules/$1")
  while IFS=: read -r number line; do
    must_fail "$1" "$number" "no wait" 's/for: .*/for: 0m/'
    must_fail "$1" "$number" "twice the wait" "s/for: .*/for: $((2 * ${line//[!0-9]/}))m/"
  done < <(grep -n '^ *for: ' "$rules/$1")
}

# Each expression of the dashboards as a rule, with Grafana's own variables filled in.
dashboard_expressions() {
  local file name
  echo "groups:"
  for file in "$root"/deploy/grafana/*.json; do
    name=$(basename "$file" .json)
    printf '  - name: %s\n    rules:\n' "$name"
    jq -r '.. | objects | .expr? // empty' "$file" | sed -e 's/\$__rate_interval/5m/g; s/\$__range/1h/g; s/\${*tenant}*/tn-1/g' | jq -R . |
      awk -v name="$name" '{printf "      - record: %s:expression:%d\n        expr: %s\n", name, NR, $0}'
  done
}

promtool check rules "$rules"/*.yaml
pristine
tests_pass alerts_test.yaml recording_test.yaml || { cat "$scratch/log" && exit 1; }
cat "$scratch/log"
dashboard_expressions >"$scratch/dashboards.yaml"
promtool check rules "$scratch/dashboards.yaml"
for file in "$rules"/*.yaml; do break_all "${file##*/}"; done
echo "$broken broken rules, $survivors not noticed"
[ "$survivors" -eq 0 ]
