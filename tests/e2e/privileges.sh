#!/bin/bash
# The running Cloister: no file that a process of another user has open, runs or was started from can be changed by `cloister`,
# and what `cloister` can reach of them gives it no more than its own work needs.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

as_cloister() { setpriv --reuid=cloister --regid=cloister --init-groups -- "$@"; }

main_pid() { # SERVICE
  if have_systemd; then
    systemctl show --property=MainPID --value "$1"
  else
    cat "$run/sv/$1/supervise/pid" 2>/dev/null
  fi
}

# Programs, libraries, working directory, open files, arguments.
files_of() { # PID
  local words=()
  readlink "/proc/$1/exe" "/proc/$1/cwd" "/proc/$1"/fd/*
  awk '$6 ~ "^/" {print $6}' "/proc/$1/maps"
  mapfile -d '' -t words <"/proc/$1/cmdline"
  printf '%s\n' "${words[@]}" | tr '=' '\n'
}

with_parents() {
  local path
  while read -r path; do
    while [ "$path" != / ] && [ -n "$path" ]; do
      echo "$path"
      path=${path%/*}
    done
  done | sort -u
}

# A file on disk under its name of now; sockets, pipes and devices are no files to replace.
on_disk() { while IFS= read -r path; do if [ -f "$path" ] || [ -d "$path" ]; then echo "$path"; fi; done; }
writable_by_cloister() { as_cloister sh -c 'while IFS= read -r path; do if [ -w "$path" ]; then echo "$path"; fi; done'; }

# tini, runsvdir, runsv and svlogd; not what they start.
supervision() { # PID
  local child
  have_systemd && return
  echo "$1"
  for child in $(pgrep -P "$1"); do
    case $(cat "/proc/$child/comm") in runsvdir | runsv | svlogd) supervision "$child" ;; esac
  done
}

for service in cloister-launcher cloister-edge cloister-dns cloister-prometheus; do
  pid=$(main_pid "$service")
  expect_equal "cloister can change nothing that $service runs or reads" "" \
    "$(files_of "$pid" | grep '^/' | with_parents | on_disk | writable_by_cloister)"
done
expect_equal "nor what supervises them" "" \
  "$(for pid in $(supervision "$(runsvdir_pid)"); do files_of "$pid"; done | grep '^/' | with_parents | on_disk | writable_by_cloister)"
expect_equal "nor anything below $etc" "" "$(find "$etc" | writable_by_cloister)"
expect_equal "nor any log" "" "$(find "$state/log" | writable_by_cloister)"

status_field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '; } # PID FIELD
haproxy=$(main_pid cloister-edge)
number=$(id -u haproxy)
expect_equal "HAProxy is the user haproxy, and can become nobody else" "$number $number $number $number" "$(status_field "$haproxy" Uid)"
expect_equal "HAProxy may bind low ports and nothing else" 0000000000000400 "$(status_field "$haproxy" CapPrm)"
expect_equal "HAProxy gains nothing by execve" 1 "$(status_field "$haproxy" NoNewPrivs)"

ask_haproxy() { # COMMAND
  as_cloister perl -MIO::Socket::UNIX -e '
    my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!\n";
    print $s "$ARGV[1]\n"; shutdown $s, 1; print while <$s>;' "$run/edge/haproxy.sock" "$1" 2>&1
}
expect_match "cloister may ask HAProxy" "^Name: HAProxy" "$(ask_haproxy 'show info')"
for command in 'expert-mode on' 'set server instances/instance addr 127.0.0.1' 'shutdown frontend apps' 'new ssl cert x' 'set maxconn global 1'; do
  expect_match "cloister may not: $command" "Permission denied" "$(ask_haproxy "$command")"
done

# The caller's environment is not what services run in.
for service in cloisterd cloister-edge; do
  expect_equal "$service knows nothing of the caller's environment" "" \
    "$(tr '\0' '\n' <"/proc/$(main_pid "$service")/environ" | grep -vE '^(PATH|HOME|USER|LOGNAME|SHELL|LANG|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|NOTIFY_SOCKET|PWD|SHLVL|_|OLDPWD|MEMORY_PRESSURE_[A-Z]+)=')"
done
finish
