#!/bin/bash
# What people bring: PostgreSQL, Redis, PHP, Java, Node and Python from Debian's packages are built and run in containers, under
# the filters of their classes, and do what they are for.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Two tenants, so that two builds run at a time and the bound of one build is the bound of all of its tenant's.
one=$unique-one
other=$unique-other
make_plan e2e-programs --memory 1G --build-memory 2G --build-disk 2G --build-time 500s --disk 1G --inodes 200000
make_tenant_of "$one" e2e-programs
make_tenant_of "$other" e2e-programs
declare -A owner=([postgresql]=$one [redis]=$one [php]=$one [java]=$other [node]=$other [python]=$other)

deploy_programs() { # TENANT PROGRAM...
  local tenant=$1 program
  shift
  for program in "$@"; do
    deploy_test_app "$tenant" "$program" "$root/tests/e2e/programs/$program" >"$scratch/said-$program" 2>&1 && : >"$scratch/deployed-$program"
  done
}
deploy_programs "$one" postgresql redis php &
first=$!
children+=("$first")
deploy_programs "$other" java node python
wait "$first" || true
children=()

answer_of() { # PROGRAM: what it answers, once it answers with 200
  local url
  [ -e "$scratch/deployed-$1" ] || {
    tail -n 5 "$scratch/said-$1" 2>&1
    return
  }
  url=$(app_url "${owner[$1]}" "$1")
  wait_for 60 "$1 answers" answers "$url/" || true
  fetch "$url/" --max-time 30 2>&1
}

answer=$(answer_of postgresql)
expect_match "PostgreSQL makes a cluster and sorts a table in parallel" '^sum 200010000$' "$answer"
answer=$(answer_of redis)
expect_match "Redis keeps a value and runs a script" '^value$' "$answer"
expect_match "Redis saves by a forked child" '^rdb_last_bgsave_status:ok' "$answer"
answer=$(answer_of php)
expect_match "PHP opens SQLite" '^rows 1$' "$answer"
expect_match "PHP has System V shared memory" '^shared$' "$answer"
expect_match "PHP starts a child" '^child of php$' "$answer"
expect_match "PHP sees the container's interfaces" '^interfaces .*lo' "$answer"
answer=$(answer_of java)
expect_match "Java computes in parallel" '^sum 500500$' "$answer"
expect_match "Java maps a file" '^mapped 7$' "$answer"
expect_match "Java starts a child" '^child of java$' "$answer"
expect_match "Java sees the container's interfaces" '^interfaces .*lo' "$answer"
answer=$(answer_of node)
expect_match "Node starts a worker thread" '^thread of a worker$' "$answer"
expect_match "Node starts a child" '^child of node$' "$answer"
expect_match "Node resolves a name" '^localhost 127' "$answer"
expect_match "Node sees the container's interfaces" '^interfaces .*lo' "$answer"
answer=$(answer_of python)
expect_match "Python computes in a pool of processes" '^sum 285$' "$answer"
expect_match "Python starts a child" '^child of python$' "$answer"
expect_match "Python resolves a name" '^localhost 127' "$answer"
expect_match "Python sees the container's interfaces" '^interfaces .*lo' "$answer"
finish
