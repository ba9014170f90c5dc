#!/bin/bash
# Jobs of a test runner, side by side: at most `at_once` at a time, and those in `alone` with nothing beside them. To be sourced.

declare -A running=()

# WORK NAME runs in the background; END NAME is called in this shell when that has ended.
run_jobs() { # WORK END NAME...
  local work=$1 end=$2 name
  shift 2
  for name; do
    if [[ " ${alone[*]} " == *" $name "* ]]; then await_jobs 1 "$end"; else await_jobs "$at_once" "$end"; fi
    "$work" "$name" &
    running[$name]=$!
    [[ " ${alone[*]} " != *" $name "* ]] || await_jobs 1 "$end"
  done
  await_jobs 1 "$end"
}

await_jobs() { # NUMBER END: until fewer run
  local name
  while [ ${#running[@]} -ge "$1" ]; do
    wait -n "${running[@]}" || true
    for name in "${!running[@]}"; do
      kill -0 "${running[$name]}" 2>/dev/null && continue
      unset "running[$name]"
      "$2" "$name"
    done
  done
}
