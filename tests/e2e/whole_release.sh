#!/bin/bash
# The app shop, which refuses to start when KEY or MODE is bad, and what shows that a refused release leaves the one before whole.
# To be sourced behind lib.sh, with `tenant` set.
source=$scratch/app
cp -r "$root/tests/e2e/app" "$source"
# shellcheck disable=SC2016  # for the app's shell
good='case $KEY$MODE in *bad*) echo "KEY or MODE is bad: $MODE" >&2; exit 3;; esac; exec perl server.pl'

mine() { cloister_within 400 --tenant "$tenant" "$@" </dev/null; }

manifest() { # COMMAND SETTLE [MEMORY]
  printf '%s\n' '[processes]' "web = '''$1'''" '[http]' "settle = \"$2\"" '[limits]' "memory = \"${3:-48M}\"" 'cpu = 0.25' 'disk = "16M"' \
    >"$source/cloister.toml"
}

make_shop() { # SETTLE
  manifest "$good" "$1"
  expect "create" mine app create shop
  expect "secret set" mine secret set KEY=good-key --app shop
  expect "config set" mine config set MODE=good GREETING=hello --app shop
  expect "deploy" deploy_test_app "$tenant" shop "$source"
  expect "scale web=2" mine scale web=2 --app shop
}

version() { json_of .release --tenant "$tenant" app show shop; }
ids() { json_of '.items[] | select(.state == "running" and .desired == "run" and .process == "web") | .id' --tenant "$tenant" ps shop; }
# shellcheck disable=SC2016  # for the app's shell
values() { mine exec shop --instance "$1" -- sh -c 'echo "$KEY $MODE $GREETING"' 2>&1; }

whole() { # WHEN COUNT
  local id
  wait_for 200 "$2 instances" has_running "$tenant" shop web "$2" || true
  expect_equal "$1: its instances run" "$2" "$(running_count "$tenant" shop web)"
  for id in $(ids); do expect_equal "$1: an instance has its release's environment" "good-key good hello" "$(values "$id")"; done
}

same_settings() {
  expect_equal "secrets are as they were" KEY "$(json_of '[.items[].name] | join(" ")' --tenant "$tenant" secret ls --app shop)"
  expect_equal "config is as it was" "GREETING=hello MODE=good" "$(mine config ls --app shop 2>/dev/null | sort | paste -sd' ')"
}

refused() { # NAME PATTERN COMMAND...
  local name=$1 pattern=$2 before code=0
  shift 2
  before=$(version)
  mine "$@" >"$scratch/said" 2>&1 || code=$?
  expect_equal "$name ends with 1" 1 "$code"
  expect_match "$name: the reason is shown" "ended with exit code 3" "$(cat "$scratch/said")"
  expect_match "$name: the app's last lines are shown" "$pattern" "$(cat "$scratch/said")"
  expect_match "$name: what serves is said" "v$before still serves" "$(cat "$scratch/said")"
  expect_equal "$name leaves the release" "$before" "$(version)"
}
