#!/bin/bash
# exec and run as people use them: much input, slow readers, bytes of every kind, terminals, clients that are killed, a
# token that is revoked, a node that is killed.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e
make_tenant_of "$tenant" e2e
mine() { cloister --tenant "$tenant" "$@"; }
expect "deploy" deploy_test_app "$tenant" shop
url=$(app_url "$tenant" shop)
wait_for 20 "the app answers" answers "$url/" || true
code_of() { # COMMAND...
  local code=0
  "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || code=$?
  echo "$code"
}

# input and output, whole, however late and slowly it is read
head -c 20000000 /dev/urandom >"$scratch/input"
want=$(sha256sum <"$scratch/input")
slow='sleep 1; dd bs=65536 count=60 iflag=fullblock 2>/dev/null >/tmp/a; sleep 1; cat >>/tmp/a; sha256sum </tmp/a; rm /tmp/a'
for verb in exec run; do
  expect_equal "$verb: 20 MB of input" "$want" "$(mine "$verb" shop -- sha256sum <"$scratch/input" 2>&1)"
  expect_equal "$verb: read late, 1 MB into a filter and back" "$(head -c 1000000 "$scratch/input" | sha256sum)" \
    "$(head -c 1000000 "$scratch/input" | mine "$verb" shop -- sh -c 'sleep 1; exec cat' 2>&1 | sha256sum)"
done
expect_equal "exec: read slowly, in two parts" "$(head -c 9000000 "$scratch/input" | sha256sum)" \
  "$(head -c 9000000 "$scratch/input" | mine exec shop -- sh -c "$slow" 2>&1)"
expect_equal "exec: a slow reader of the output" "$(head -c 3000000 /dev/zero | sha256sum)" \
  "$(mine exec shop -- head -c 3000000 /dev/zero </dev/null | (sleep 2; sha256sum))"
expect_equal "exec: ends before it has read all" 5 "$(head -c 5000000 /dev/zero | mine exec shop -- sh -c 'head -c 5 | wc -c' 2>&1)"
began=$(date +%s)
expect_equal "exec: input without an end that nobody reads" 3 "$(
  code=0
  yes | mine exec shop -- sh -c 'exec 0<&-; sleep 1; exit 3' >/dev/null 2>&1 || code=$?
  echo "$code"
)"
expect_within "and it ends when the command does" "$(($(date +%s) - began))" 0 6

# arguments
long=$(head -c 131071 /dev/zero | tr '\0' x)
expect_equal "an argument of 131071 bytes" 131071 "$(mine exec shop -- sh -c 'printf %s "$1" | wc -c' sh "$long" 2>&1 </dev/null)"
expect_equal "five of them, of a run" 655355 "$(mine run shop -- sh -c 'printf %s "$@" | wc -c' sh "$long" "$long" "$long" "$long" "$long" 2>&1 </dev/null)"
expect_equal "300 arguments" 300 "$(mine exec shop -- sh -c 'echo $#' sh $(seq 300) 2>&1 </dev/null)"
expect_equal "bytes that are no text" "ff fe 0a" "$(mine exec shop -- printf '%s\n' $'\xff\xfe' 2>&1 </dev/null | od -An -tx1 | sed 's/^ //')"
expect_refused "more than 1 MiB of them" 'the command is too long: .* and it may have 1048576' \
  mine exec shop -- echo "$long" "$long" "$long" "$long" "$long" "$long" "$long" "$long"

# codes
expect_equal "no such program" 127 "$(code_of mine exec shop -- nosuch)"
expect_match "is named" 'nosuch: no such program' "$(cat "$scratch/err")"
expect_equal "no such program in a run" 127 "$(code_of mine run shop -- /no/such)"
expect_equal "a file without execute permission" 126 "$(code_of mine exec shop -- /etc/passwd)"
expect_match "is named too" '/etc/passwd: not executable' "$(cat "$scratch/err")"
expect_equal "a directory" 126 "$(code_of mine exec shop -- /etc)"
expect_equal "killed by a signal" 137 "$(code_of mine exec shop -- sh -c 'kill -9 $$')"

# descriptors and terminals
expect_equal "/dev/stdout, /dev/stderr and /proc/self/fd/1 of an exec" "err fd out" \
  "$(mine exec shop -- sh -c 'echo out >/dev/stdout; echo err >>/dev/stderr; echo fd >/proc/self/fd/1' 2>&1 </dev/null | sort | xargs)"
expect_equal "of a run" "out err" "$(mine run shop -- sh -c 'echo out >/dev/stdout; sleep 0.2; echo err >>/dev/stderr' 2>&1 </dev/null | xargs)"
expect_equal "/dev/stdin" hello "$(echo hello | mine exec shop -- cat /dev/stdin 2>&1)"
began=$(date +%s)
expect_equal "a command that leaves something in the background" hi "$(mine exec shop -- sh -c 'sleep 300.5 & echo hi' 2>&1 </dev/null)"
expect_within "is over at once" "$(($(date +%s) - began))" 0 3
expect_equal "what it left goes on" 1 "$(mine exec shop -- sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " "' 2>/dev/null </dev/null | grep -c 'sleep 300.5')"
on_terminal() { script -qec "$bin/cloister --server $server --token $(cat "$state/cloisterd/admin-token") --tenant $tenant $*" /dev/null </dev/null 2>&1 | tr -d '\r' | sed 's/\^@//g'; }
for verb in exec run; do
  on_terminal "$verb shop -- sh -c 'tty; ls /dev/pts; echo tty >/dev/tty; echo out >/dev/stdout; exec 0<&- 1>&- 2>&-; sleep 1; echo later >/dev/tty; exit 0'" >"$scratch/out"
  expect_equal "$verb on a terminal has its name, and outlives its descriptors" "/dev/pts/0 0 ptmx tty out later" "$(xargs <"$scratch/out")"
done

# clients that are killed
mine_exec() { cloister_exec --tenant "$tenant" "$@"; }
mine_exec exec shop -- sh -c 'trap "" HUP TERM; setsid sleep 4441 & sleep 4442' >/dev/null 2>&1 </dev/null &
first=$!
mine_exec run shop -- sh -c 'sleep 4443' >/dev/null 2>&1 </dev/null &
second=$!
mine_exec exec shop -- sleep 4444 >/dev/null 2>&1 </dev/null &
third=$!
children+=("$first" "$second" "$third")
processes() { mine exec shop -- sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " "' 2>/dev/null </dev/null | grep -o 'sleep 444[0-9]' | sort -u | xargs; }
runs() { json_of '[.items[] | select(.process == "run" and .state != "stopped")] | length' --tenant "$tenant" ps shop; }
begun() { [ "$(processes)" = "sleep 4441 sleep 4442 sleep 4444" ] && [ "$(runs)" = 1 ]; }
expect "three commands run" wait_for 20 "they" begun
kill -9 "$first" "$second"
ended() { [ "$(processes)" = "sleep 4444" ] && [ "$(runs)" = 0 ]; }
expect "those of killed clients are gone, with all that they started" wait_for 15 "they" ended
kill -9 "$third" 2>/dev/null
children=()

# a token that is revoked
made=$(cloister -o json token create ci --tenant "$tenant" 2>/dev/null)
secret=$(jq -r .secret <<<"$made")
for what in "exec shop -- sleep 60" "logs -f shop" "events -f"; do
  # shellcheck disable=SC2086  # words
  "$bin/cloister" --server "$server" --token "$secret" $what >"$scratch/stream-${what%% *}" 2>&1 </dev/null &
  children+=($!)
done
sleep 2
cloister token revoke "$(jq -r .id <<<"$made")" >/dev/null 2>&1
revoked() {
  local child
  for child in "${children[@]}"; do ! kill -0 "$child" 2>/dev/null || return 1; done
}
expect "a revoked token's streams end" wait_for 3 "they" revoked
children=()
expect_match "and the command's client is told" 'the token was revoked' "$(cat "$scratch/stream-exec")"

# a node that is killed
mine_exec run shop -- sh -c 'echo begun; sleep 60' >"$scratch/run.out" 2>"$scratch/run.err" </dev/null &
child=$!
wait_for 20 "the run" grep -q begun "$scratch/run.out" || true
pid=$(if have_systemd; then systemctl show --property=MainPID --value cloister-node; else cat "$run/sv/cloister-node/supervise/pid"; fi)
kill -9 "$pid"
code=0
wait "$child" || code=$?
expect_equal "a run whose node is killed ends with 1" 1 "$code"
expect_match "in clear words" 'the node that ran the command is gone' "$(cat "$scratch/run.err")"
expect "the node is back" wait_for 60 "the node" node_ready
gone() { [ "$(runs)" = 0 ] && [ "$(mine run shop -- echo again 2>/dev/null </dev/null)" = again ]; }
expect "nothing of the run is left, and another goes" wait_for 30 "it" gone
finish
