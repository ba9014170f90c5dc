# Cloister's services under systemd, or under runit where systemd is not PID 1. Sourced by up, after lib.sh and config.sh.
#
# deploy/systemd/*.service is the one description of a service: systemd gets the files (with this host's paths), runit gets
# a run script made from their ExecStart, EnvironmentFile, User, LimitNOFILE, UMask, CapabilityBoundingSet and
# AmbientCapabilities.
# runit's directories are $run/sv/<service>; its logs are $state/log/<service>/current.
# shellcheck shell=bash

services=(cloister-launcher cloisterd cloister-node cloister-edge cloister-dns cloister-prometheus)
units=/etc/systemd/system

unit_text() { # SERVICE
  with_host_paths "$root/deploy/systemd/$1.service" | sed "s#--cgroup-root cloister #--cgroup-root $cgroup_root #"
}

unit_value() { # SERVICE KEY
  unit_text "$1" | sed -n "s/^$2=//p" | tail -n 1
}

# What a service's process is made of; it is restarted when that changed.
fingerprint() { # SERVICE
  local files=()
  case $1 in
    cloister-launcher) files=("$bin/cloister-launcher" "$bin/cloister-init" "$etc/launcher.env" "$state/launcher/apparmor/profiles") ;;
    cloisterd) files=("$bin/cloisterd" "$etc/cloisterd.toml" "$profiles/cloisterd") ;;
    cloister-node) files=("$bin/cloister-node" "$etc/node.toml" "$profiles/cloister-node") ;;
    cloister-edge) files=(/usr/sbin/haproxy "$etc/haproxy.cfg" "$etc/haproxy.lua") ;;
    cloister-dns) files=(/usr/sbin/dnsmasq) ;;
    cloister-prometheus) files=(/usr/bin/prometheus "$etc/prometheus.env" "$etc/prometheus/prometheus.yml" "$etc"/prometheus/rules/*.yaml) ;;
  esac
  {
    unit_text "$1"
    cat -- "${files[@]}" 2>/dev/null || true
    [ "$1" != cloister-node ] || token_of "$state/node/token" || true
  } | sha256sum | cut -d ' ' -f 1
}

# As a list for setpriv, each with a comma before it.
unit_capabilities() { # SERVICE KEY
  unit_value "$1" "$2" | tr ' ' '\n' | sed -n 's/^CAP_\(.*\)/,+\L\1/p' | tr -d '\n'
}

run_script() { # SERVICE
  local user environment capabilities ambient queues
  user=$(unit_value "$1" User)
  queues=$(unit_value "$1" LimitMSGQUEUE)
  environment=$(unit_value "$1" EnvironmentFile)
  capabilities=$(unit_capabilities "$1" CapabilityBoundingSet)
  ambient=$(unit_capabilities "$1" AmbientCapabilities)
  echo '#!/bin/sh'
  echo 'exec 2>&1'
  [ -z "$environment" ] || printf 'set -a\n. %s\nset +a\n' "$environment"
  echo "umask $(unit_value "$1" UMask || echo 0022)"
  # A container may have been given less, and no right to more.
  echo "ulimit -n $(unit_value "$1" LimitNOFILE) 2>/dev/null || ulimit -n \"\$(ulimit -H -n)\""
  [ -z "$queues" ] || echo "prlimit --pid \$\$ --msgqueue=$queues 2>/dev/null || :"
  printf 'exec chpst -P setpriv --no-new-privs --inh-caps=-all%s --bounding-set=-all%s %s %s -- \\\n  %s\n' \
    "$ambient" "$capabilities" "${ambient:+--ambient-caps=${ambient#,}}" "${user:+--reuid=$user --regid=$user --init-groups}" "$(unit_value "$1" ExecStart)"
}

write_runit_service() { # SERVICE
  local directory=$run/sv/$1
  own_directory 755 root:root "$run/sv" "$directory" "$directory/log"
  own_directory 750 cloister-log:cloister-log "$state/log/$1"
  # It cannot append to what somebody else has written.
  find "$state/log/$1" -mindepth 1 -maxdepth 1 ! -user cloister-log -delete
  run_script "$1" | write_file "$directory/run" 755 root:root
  write_file "$directory/log/run" 755 root:root <<SCRIPT
#!/bin/sh
exec chpst -u cloister-log svlogd -tt $state/log/$1
SCRIPT
}

runsvdir_pid() {
  local pid
  pid=$(cat "$run/runsvdir.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = tini ] && echo "$pid"
}

# In a session of its own, with nothing of this terminal: it must live on when the terminal closes. (Descriptor 9: the lock.)
start_runsvdir() {
  # tini is a subreaper: containers of a launcher that was killed become its children, and it reaps them where PID 1 does not.
  # Nor of the caller's environment: services would hand it on.
  setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin tini -s -- runsvdir -P "$run/sv" </dev/null >>"$state/log/runsvdir" 2>&1 9>&- &
  echo $! >"$run/runsvdir.pid"
}

write_services() {
  local service changed=''
  for service in "${services[@]}"; do
    if have_systemd; then
      unit_text "$service" | cmp -s - "$units/$service.service" && continue
      unit_text "$service" | write_file "$units/$service.service" 644 root:root
      changed=yes
    else
      write_runit_service "$service"
    fi
  done
  if have_systemd; then
    with_host_paths "$root/deploy/systemd/cloister.tmpfiles" | write_file /etc/tmpfiles.d/cloister.conf 644 root:root
    [ -z "$changed" ] || systemctl daemon-reload
  fi
}

service_running() { # SERVICE
  if have_systemd; then
    systemctl is-active --quiet "$1"
  else
    [ -n "$(runsvdir_pid)" ] && sv status "$run/sv/$1" 2>/dev/null | grep -q '^run:'
  fi
}

service_log() { # SERVICE LINES
  if have_systemd; then
    journalctl --no-pager --quiet --output=cat --unit "$1" --lines "$2"
  else
    tail -n "$2" "$state/log/$1/current"
  fi
}

check_ports() {
  local pair
  for pair in "cloisterd:CLOISTER_API_PORT:$api_port" "cloisterd:CLOISTER_METRICS_PORT:$metrics_port" \
    "cloister-edge:CLOISTER_EDGE_PORT:$edge_port" "cloister-prometheus:CLOISTER_PROMETHEUS_PORT:$(prometheus_port)"; do
    IFS=: read -r service variable port <<<"$pair"
    if ! service_running "$service" && port_taken "$port"; then
      die "port $port is taken by another program; choose one for $service: $variable=PORT $0"
    fi
  done
}

# Starts what does not run and restarts what has changed; containers live on through either.
start_services() {
  local service wanted stamp fresh=''
  if ! have_systemd && [ -z "$(runsvdir_pid)" ]; then
    start_runsvdir
    fresh=yes # it starts every service by itself
  fi
  for service in "${services[@]}"; do
    wanted=$(fingerprint "$service")
    stamp=$state/setup/$service.started
    if ! have_systemd; then
      wait_for 8 "runit's supervision of $service" test -p "$run/sv/$service/supervise/ok" || die "runit does not start; see $state/log/runsvdir"
    fi
    if [ -n "$fresh" ]; then
      sv -w 15 start "$run/sv/$service" >/dev/null || true
    elif service_running "$service"; then
      [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && continue
      say "restarting $service"
      if have_systemd; then systemctl restart "$service"; else sv -w 15 restart "$run/sv/$service" >/dev/null; fi
    elif have_systemd; then
      systemctl enable --quiet "$service"
      systemctl start "$service"
    else
      sv -w 15 start "$run/sv/$service" >/dev/null || true
    fi
    echo "$wanted" >"$stamp"
  done
}

node_ready() { cloister -o json node ls | jq -e '[.items[] | select(.state == "ready")] | length > 0'; }
dns_listens() { ss -Hlun 'src 169.254.1.1 and sport = 53' | grep -q .; }
edge_answers() { curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$edge_port/"; }
http_good() { curl -fs -o /dev/null --max-time 2 "$1"; }

# SERVICE SECONDS COMMAND...: ends with the service's last words when it does not come.
await() {
  local service=$1 limit=$2
  shift 2
  wait_for "$limit" "$service is ready" "$@" && return
  say "last lines of $service:"
  service_log "$service" 15 >&2 || true
  die "$service did not become ready; its whole log: $(have_systemd && echo "journalctl -u $service" || echo "$state/log/$service/current")"
}

await_services() {
  await cloister-launcher 20 test -S "$run/launcher.sock"
  await cloisterd 20 http_good "http://127.0.0.1:$api_port/readyz"
  await cloister-node 30 node_ready
  await cloister-edge 15 edge_answers
  await cloister-dns 15 dns_listens
  await cloister-prometheus 40 http_good "http://127.0.0.1:$(prometheus_port)/-/ready"
}

stop_services() {
  local index service
  for ((index = ${#services[@]} - 1; index >= 0; index--)); do
    service=${services[index]}
    if have_systemd; then
      [ ! -e "$units/$service.service" ] || systemctl disable --quiet --now "$service" 2>/dev/null || true
    elif [ -p "$run/sv/$service/supervise/ok" ]; then
      sv -w 20 force-stop "$run/sv/$service" >/dev/null 2>&1 || true
    fi
  done
}

# After the containers have ended, so that somebody is there to reap them.
stop_supervision() {
  local pid
  ! have_systemd || return 0
  pid=$(runsvdir_pid) || true
  if [ -n "$pid" ]; then
    kill -HUP "$pid"
    wait_for 20 "the end of runsvdir" test ! -e "/proc/$pid" || kill -KILL "$pid"
  fi
  rm -rf "$run/runsvdir.pid" "$run/sv"
}

# The launcher knows what it made: containers, control groups, links, packet filter tables.
end_containers() {
  local launcher=$bin/cloister-launcher
  [ -x "$launcher" ] || launcher=$build/bin/cloister-launcher
  [ -x "$launcher" ] || return 0
  "$launcher" --purge --run "$run" --store "$state/launcher/layers" --cgroup-root "$cgroup_root" \
    --pool "$state/launcher/uppers.ext4" --apparmor "$state/launcher/apparmor/profiles" >&2 ||
    die "cloister-launcher --purge failed; containers may be left"
}

remove_services() {
  local service
  if have_systemd; then
    for service in "${services[@]}"; do rm -f "$units/$service.service"; done
    rm -f /etc/tmpfiles.d/cloister.conf /etc/modules-load.d/cloister.conf
    systemctl daemon-reload
    systemctl reset-failed "${services[@]/%/.service}" 2>/dev/null || true
  fi
}
