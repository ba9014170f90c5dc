# Shared by up, check and the scripts in deploy/: paths, ports, messages, packages. Sourced, never run.
# Callers set `root`, the directory of the checkout, first.
# shellcheck shell=bash
: "${root:?set root before sourcing deploy/lib.sh}"

state=${CLOISTER_STATE:-/var/lib/cloister}
run=${CLOISTER_RUN:-/run/cloister}
etc=${CLOISTER_ETC:-/etc/cloister}
bin=${CLOISTER_BIN:-/usr/local/bin}
build=${CLOISTER_BUILD:-$root/build}
edge_port=${CLOISTER_EDGE_PORT:-8080}
api_port=${CLOISTER_API_PORT:-7070}
metrics_port=${CLOISTER_METRICS_PORT:-7071}
cgroup_root=${CLOISTER_CGROUP:-cloister}
binaries=(cloister-launcher cloister-node cloisterd cloister-init cloister)
given=("$@") # to the script

say() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
warn() { say "warning: $*"; }
die() {
  say "error: $*"
  exit 1
}

# --purge deletes these directories whole: a slip of the environment must not name /var or /.
check_paths() {
  local path
  for path in "$state" "$run" "$etc"; do
    [[ $path =~ ^/[^/]+/[^/]+ && $path != *..* ]] || die "\"$path\": an absolute path of two components or more is needed"
  done
}

# Who is not root becomes it, if the host has a way, and the script begins anew with what it was given.
need_root() {
  local name settings=()
  if [ "$(id -u)" -eq 0 ]; then return; fi
  command -v sudo >/dev/null || die "must be run as root, and there is no sudo to become it"
  for name in $(compgen -e CLOISTER_); do settings+=("$name=${!name}"); done
  exec sudo env ${settings[@]+"${settings[@]}"} "$0" ${given[@]+"${given[@]}"}
}

# shellcheck disable=SC1091  # the host's own file
check_debian() {
  local found
  found=$(. /etc/os-release 2>/dev/null && echo "$ID $VERSION_ID") || found=unknown
  [ "$found" = "debian 12" ] || warn "made for Debian 12, this is $found"
}

# Debian 12's own. What else a kernel must have, the launcher asks it for at start.
check_kernel() {
  local release major minor
  release=$(uname -r)
  IFS=. read -r major minor _ <<<"$release"
  [ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "${minor%%[!0-9]*}" -ge 1 ]; } ||
    die "Linux 6.1 or later is needed, this is $release"
}

have_systemd() { [ -d /run/systemd/system ]; }

# A file of the tree with this host's directories in place of the usual ones.
with_host_paths() { # FILE
  sed -e "s#/var/lib/cloister#$state#g" -e "s#/run/cloister#$run#g" -e "s#/etc/cloister#$etc#g" -e "s#/usr/local/bin#$bin#g" "$1"
}

apparmor_enabled() { [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; }

# Names in package list files, comments and blank lines left out.
listed_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@"; }

# Those of the arguments that are not installed, from one dpkg-query.
missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p') || true
  printf '%s\n' "$@" | grep -vxF -e "${installed:-/}" || true
}

# Installs what is missing. Package scripts may not start services: ours are started later, with our own configuration.
install_packages() {
  local missing policy=/usr/sbin/policy-rc.d made='' failed=''
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt_get update && apt_get install --yes --no-install-recommends "${missing[@]}" || failed=yes
  [ -z "$made" ] || rm -f "$policy"
  [ -z "$failed" ] || die "installing Debian packages failed; apt's words are above"
  keep_debian_services_down "${missing[@]}"
}

apt_get() {
  local log
  log=$(mktemp)
  if DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
    -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    tail -n 30 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

# A package that we have just installed must not take a port at the next boot. One that was there before is not ours to stop.
keep_debian_services_down() {
  local package
  for package in "$@"; do
    case $package in
      haproxy | prometheus | runit)
        if have_systemd; then
          systemctl disable --now "$package.service" >/dev/null 2>&1 || true
        elif [ -x "/etc/init.d/$package" ]; then
          update-rc.d "$package" disable >/dev/null 2>&1 || true
        fi
        ;;
    esac
  done
}

# Configures when there is no build yet, or when tests are asked for and it has none; then builds the targets given.
build_cloister() { # ON|OFF TARGET...
  local tests=$1 configured log
  shift
  configured=$(sed -n 's/^CLOISTER_TESTS:BOOL=//p' "$build/CMakeCache.txt" 2>/dev/null) || true
  mkdir -p "$build"
  log=$build/cloister-build.log
  if [ ! -f "$build/build.ninja" ] || { [ "$tests" = ON ] && [ "$configured" != ON ]; }; then
    say "configuring $build"
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCLOISTER_TESTS=$tests" >"$log" 2>&1 || {
      tail -n 30 "$log" >&2
      die "cmake failed; see $log"
    }
  fi
  run_ninja "$log" "$@"
}

run_ninja() { # LOG TARGET...
  local log=$1 line shown=$SECONDS
  shift
  # One progress line every 15 s; the whole output is in the log.
  if ! { ninja -C "$build" "$@" 2>&1; } | tee "$log" | while IFS= read -r line; do
    if [[ $line == \[*\]* ]] && [ $((SECONDS - shown)) -ge 15 ]; then
      say "building ${line%%]*}]"
      shown=$SECONDS
    fi
  done; then
    grep -E -A 12 'FAILED|error:|ninja: error' "$log" | head -n 60 >&2 || tail -n 30 "$log" >&2
    die "the build failed; see $log"
  fi
}

# Waits until the command succeeds. The last argument of a failure is what was waited for.
wait_for() { # SECONDS WHAT COMMAND...
  local limit=$1 what=$2 end
  shift 2
  end=$((SECONDS + limit))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || {
      say "$what: not after $limit s"
      return 1
    }
    sleep 0.1
  done
}

# True when something listens on that TCP port of the loopback.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Writes stdin to the file when that changes it; succeeds either way. Mode and owner are set each time.
write_file() { # PATH MODE OWNER:GROUP
  local temporary=$1.new.$$
  (umask 077 && cat >"$temporary")
  chown "$3" "$temporary"
  chmod "$2" "$temporary"
  if cmp -s "$temporary" "$1"; then
    rm -f "$temporary"
    chown "$3" "$1"
    chmod "$2" "$1"
  else
    mv -f "$temporary" "$1"
  fi
}

# The command line tool with the token that `up` made, whatever the caller's environment says.
cloister() { with_admin_token "$bin/cloister" "$@"; }

# The same, ended when it takes longer. (`timeout` starts programs: it knows no function of ours.)
cloister_within() { # SECONDS ARGUMENT...
  local limit=$1
  shift
  with_admin_token timeout --kill-after=10 "$limit" "$bin/cloister" "$@"
}

# In place of the (sub)shell that calls it: for `&`, so that $! is the tool itself and not a shell that waits for it.
cloister_exec() { with_admin_token exec "$bin/cloister" "$@"; }

# As `up` left it for root.
admin_token() { sed -n 's/^token = "\(.*\)"$/\1/p' "$etc/cli.toml" 2>/dev/null; }

with_admin_token() {
  CLOISTER_SERVER=http://127.0.0.1:$api_port CLOISTER_TOKEN=$(admin_token) "$@"
}
