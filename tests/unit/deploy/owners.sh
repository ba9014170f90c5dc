#!/bin/bash
# Nobody but root can change what root, or a user other than himself, reads as code or configuration: not the file, and no
# directory on the way to it. Then a test per way in which `cloister`, `prometheus` or `haproxy` could become more.
#
# Makes the directories and the configuration as `up` does, in a mount namespace with a file system and users of its own.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
base=/mnt/cloister-owners
export CLOISTER_STATE=$base/state CLOISTER_RUN=$base/run CLOISTER_ETC=$base/etc CLOISTER_BIN=$base/bin
export CLOISTER_PROMETHEUS_PORT=9090
. "$root/deploy/lib.sh"
. "$root/deploy/config.sh"
. "$root/deploy/services.sh"
need_root
if [ "${1-}" != inside ]; then exec unshare --mount --propagation private "$0" inside; fi

have_systemd() { false; }
apparmor_enabled() { false; }
service_users=(cloister cloister-log haproxy prometheus)
failures=0
wrong() {
  say "wrong: $*"
  failures=$((failures + 1))
}

# The users of this machine, and those that it lacks.
private_users() {
  local name number=61000
  cp /etc/passwd "$base/passwd"
  cp /etc/group "$base/group"
  for name in "${service_users[@]}"; do
    number=$((number + 1))
    grep -q "^$name:" "$base/group" || echo "$name:x:$number:" >>"$base/group"
    grep -q "^$name:" "$base/passwd" ||
      echo "$name:x:$number:$(sed -n "s/^$name:x:\([0-9]*\):.*/\1/p" "$base/group")::/nonexistent:/usr/sbin/nologin" >>"$base/passwd"
  done
  mount --bind "$base/passwd" /etc/passwd
  mount --bind "$base/group" /etc/group
}

set_up() {
  local service
  mount -t tmpfs -o mode=755 tmpfs /mnt
  mkdir "$base"
  private_users
  make_directories
  touch "$state/edge/hosts.map" "$state/edge/slots.map"
  chown cloister:cloister "$state"/edge/*.map
  printf '#!/bin/sh\nid -un >>%s/as-whom\n[ "$2" = --lua ] || printf "frontend x\\n  mode http\\n  bind 127.0.0.1:1\\n"\n' "$base" >"$bin/cloisterd"
  chmod 755 "$bin/cloisterd"
  write_configuration
  write_edge_configuration
  for service in "${services[@]}"; do write_runit_service "$service"; done
}

as() { # USER COMMAND...
  local user=$1
  shift
  setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"
}

user_of() { # SERVICE
  local user
  user=$(unit_value "$1" User)
  echo "${user:-root}"
}

# Each path that a service's unit names for reading: programs, arguments, files of variables. What it may write is no code.
read_by() { # SERVICE
  {
    unit_value "$1" ExecStart
    unit_value "$1" EnvironmentFile
  } | tr ' =' '\n\n' | grep '^/' | grep -v '^/dev/null$'
  case $1 in
    cloister-edge) printf '%s\n' "$etc/haproxy.lua" ;;
    cloister-prometheus) printf '%s\n' "$etc"/prometheus/rules/*.yaml ;;
    cloisterd | cloister-node) printf '%s\n' "$etc/${1#cloister-}.toml" ;;
  esac
  printf '%s\n' "$run/sv/$1/run" "$run/sv/$1/log/run"
}

# The path and all directories above it, a line each.
with_parents() {
  local path
  while read -r path; do
    while [ "$path" != / ] && [ -n "$path" ]; do
      echo "$path"
      path=${path%/*}
    done
    echo /
  done | sort -u
}

writable_by() { # USER: of the paths on standard input
  as "$1" sh -c 'while IFS= read -r path; do if [ -w "$path" ]; then printf "%s\n" "$path"; fi; done'
}

# Its own data of a service: it reads and writes them, nobody else relies on them.
own_data() { grep -vE "^$state/(prometheus/data|launcher/.*)$"; }

walk_what_services_read() {
  local service other path
  for service in "${services[@]}"; do
    for other in "${service_users[@]}"; do
      while read -r path; do
        wrong "$other can change $path, which $service reads as $(user_of "$service")"
      done < <(read_by "$service" | own_data | with_parents | writable_by "$other")
    done
  done
}

# In a directory that one of them may write, nothing of another user lies: he could take it away and put something else there.
walk_the_tree() {
  local directory user path
  for user in "${service_users[@]}"; do
    while read -r directory; do
      [ "$(stat -c %U "$directory")" = "$user" ] || wrong "$user can write in $directory, which is not his"
      while read -r path; do wrong "$path is not $user's, and lies in a directory of his"; done < <(find "$directory" ! -user "$user")
    done < <(find "$state" "$run" "$etc" "$bin" -type d | writable_by "$user")
  done
}

# Units read what tmpfiles.d describes; ./up makes the same.
same_directories_everywhere() {
  local kind path mode owner group found
  while read -r kind path mode owner group; do
    [ "$kind" = d ] || continue
    [ "$path" != "$run/mnt" ] && [ "$path" != "$state/launcher/apparmor" ] || continue # the launcher's, the compiler's
    found=$(stat -c '%a %U %G' "$path" 2>&1) || true
    [ "$found" = "$(sed 's/^0*//' <<<"$mode") $owner $group" ] || wrong "$path: tmpfiles says $mode $owner $group, up makes $found"
  done < <(with_host_paths "$root/deploy/systemd/cloister.tmpfiles")
}

only_the_launcher_and_the_resolver_are_root() {
  local service
  for service in "${services[@]}"; do
    case $service:$(user_of "$service") in
      cloister-launcher:root | cloister-dns:root) ;; # dnsmasq becomes its own user, and reads nothing of ours
      *:root) wrong "$service runs as root" ;;
    esac
  done
}

cannot() { # WHAT USER COMMAND...
  local what=$1
  shift
  if as "$@" >/dev/null 2>&1; then wrong "$what"; fi
}

ways_to_root() {
  cannot "cloister writes HAProxy's configuration" cloister sh -c "echo 'global' >>'$etc/haproxy.cfg'"
  cannot "cloister replaces HAProxy's configuration" cloister mv -f "$state/edge/hosts.map" "$etc/haproxy.cfg"
  ! grep -qx cloister "$base/as-whom" || wrong "a process of cloister's has HAProxy's configuration in its hands"
  [ "$(user_of cloister-edge)" = haproxy ] || wrong "HAProxy reads cloister's maps as root"
  cannot "cloister makes runit's directory" cloister mkdir "$run/sv2"
  cannot "cloister makes the pid file that up writes and believes" cloister ln -s /etc/motd "$run/runsvdir.pid"
  cannot "cloister makes the launcher's mount point" cloister mkdir "$run/mnt"
  cannot "cloister moves the launcher's records" cloister mv "$run/containers" "$run/cloisterd/"
  cannot "cloister writes the launcher's log" cloister sh -c "echo x >>'$state/log/cloister-launcher/current'"
  cannot "cloister writes its own log" cloister sh -c "echo x >>'$state/log/cloisterd/current'"
  cannot "prometheus adds a rule" prometheus touch "$etc/prometheus/rules/x.yaml"
  cannot "prometheus moves its data away for a link" prometheus mv "$state/prometheus/data" "$state/prometheus/x"
  cannot "haproxy makes a socket in cloisterd's place" haproxy touch "$run/cloisterd/node-api.sock"
  as cloister touch "$run/cloisterd/x" || wrong "cloisterd cannot make its socket"
  as haproxy touch "$run/edge/x" || wrong "HAProxy cannot make its socket"
  [ "$(stat -c %G "$run/edge/x")" = cloister ] || wrong "HAProxy's socket is not for cloisterd's group"
  ! grep -nE '>+ *"?/(tmp|var/lock|var/tmp|dev/shm)/' "$root/up" "$root"/deploy/*.sh || wrong "root writes where everybody may"
  ! grep -rnE '(dest|src|path): .*cloister_state }}/(cloisterd|node|edge)' "$root/ansible" || wrong "root follows what lies in cloister's directories"
}

# What root does for a directory's owner must not be led astray by a link in it.
links_lead_root_nowhere() {
  local secret=$base/secret
  echo roots-own-words >"$secret"
  chmod 600 "$secret"
  as cloister ln -s "$secret" "$state/cloisterd/admin-token"
  ! token_of "$state/cloisterd/admin-token" || wrong "root reads for cloister what cloister cannot read"
  as cloister ln -sf "$secret" "$state/edge/slots.map"
  ! as_user haproxy cat "$state/edge/slots.map" 2>/dev/null || wrong "HAProxy reads for cloister what cloister cannot read"
  as cloister rm "$state/cloisterd/admin-token"
  printf 'two words\nand lines\n' | as cloister tee "$state/cloisterd/admin-token" >/dev/null
  ! token_of "$state/cloisterd/admin-token" >/dev/null || wrong "a token is one word"
  echo cl_abc-1 | as cloister tee "$state/cloisterd/admin-token" >/dev/null
  [ "$(token_of "$state/cloisterd/admin-token")" = cl_abc-1 ] || wrong "a token is not read"
  rmdir "$state/prometheus/data" && ln -s "$etc" "$state/prometheus/data"
  ! (make_directories) 2>/dev/null || wrong "root gives away a directory that a link leads to"
  rm "$state/prometheus/data" && make_directories
}

# Who runs as cloister may be traced by cloister: nothing of root's is in such a process.
nothing_is_handed_over() {
  local seen
  seen=$(export SECRET_OF_ROOT=yes && as_user cloister sh -c 'env; ls -l /proc/self/fd; ps -o sid=,tty= -p $$; pwd' 9>>"$base/lock")
  ! grep -qE 'SECRET_OF_ROOT|/lock' <<<"$seen" || wrong "environment or descriptors are handed over: $seen"
  # From a real terminal, into which its process could type with TIOCSTI.
  seen=$(export -f as_user && script -qec 'bash -c "as_user cloister sh -c \"exec 3</dev/tty && echo has-terminal\""' /dev/null </dev/null 2>&1) || true
  ! grep -q has-terminal <<<"$seen" || wrong "the terminal of root is handed over"
}

main() {
  set_up
  same_directories_everywhere
  only_the_launcher_and_the_resolver_are_root
  walk_what_services_read
  walk_the_tree
  ways_to_root
  links_lead_root_nowhere
  nothing_is_handed_over
  [ "$failures" -eq 0 ] || die "$failures wrong"
}
main
