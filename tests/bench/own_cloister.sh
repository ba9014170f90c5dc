# For benchmarks that need a whole Cloister: one of its own, from `start_cloister` to the script's end, and `scratch`, a
# directory that ends with it. Sourced, after `root` is set; lib.sh takes its paths from here.
# shellcheck shell=bash
export CLOISTER_STATE=/var/lib/cloister-bench/state CLOISTER_RUN=/run/cloister-bench/run CLOISTER_CGROUP=cloister-bench
export CLOISTER_ETC=/var/lib/cloister-bench/etc CLOISTER_BIN=/var/lib/cloister-bench/bin CLOISTER_EXAMPLES=no CLOISTER_SETTLE=0
export PATH=$CLOISTER_BIN:$PATH
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"

# shellcheck disable=SC2317,SC2329  # called by the trap
clean_up() {
  "$root/up" --purge >"$scratch/purge.log" 2>&1 || tail -n 5 "$scratch/purge.log" >&2
  rm -rf --one-file-system "$scratch" /var/lib/cloister-bench /run/cloister-bench
}

start_cloister() {
  need_root
  [ ! -S "$run/launcher.sock" ] || die "a Cloister runs here: packet filter tables exist once a host"
  scratch=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  "$root/up" >"$scratch/up.log" 2>&1 || { tail -n 20 "$scratch/up.log" >&2 && exit 1; }
}

pid_of() { pgrep -nf "^$CLOISTER_BIN/$1( |$)"; } # PROGRAM
