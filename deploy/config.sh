# The user, the directories, the configuration files and the tokens. Sourced by up, after lib.sh.
# shellcheck shell=bash

# `cloister` runs the control plane and the node. `cloister-log` writes the services' logs where there is no journal, so that
# none of them can rewrite what it, or another, has said.
make_users() {
  local name
  for name in cloister cloister-log; do
    getent group "$name" >/dev/null || groupadd --system "$name"
    getent passwd "$name" >/dev/null || {
      useradd --system --gid "$name" --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin "$name"
      install -d -m 755 "$state/setup"
      touch "$state/setup/made-user"
    }
  done
}

# Only the user that we made, so that a second Cloister with directories of its own keeps it.
remove_user() {
  [ -e "$state/setup/made-user" ] || return 0
  local name
  for name in cloister cloister-log; do
    userdel "$name" 2>/dev/null || true
    groupdel "$name" 2>/dev/null || true
  done
}

# A directory of that owner. Its parent is root's, so a link found here was made by root or by a former owner of the parent.
own_directory() { # MODE OWNER:GROUP PATH...
  local path mode=$1 owner=${2%:*} group=${2#*:}
  shift 2
  for path in "$@"; do
    [ ! -L "$path" ] || die "$path is a link; a directory is needed"
    install -d -m "$mode" -o "$owner" -g "$group" "$path"
  done
}

# Whoever runs with more rights than a directory's owner neither reads nor writes in it: such an owner could put a link there.
# So what root makes, and what another user reads as its configuration, lies in directories of root's alone, all the way up.
make_directories() {
  install -d -m 755 "$etc" "$bin"
  own_directory 755 root:cloister "$state"
  own_directory 750 cloister:cloister "$state/cloisterd" "$state/node"
  own_directory 755 cloister:cloister "$state/edge"
  own_directory 755 root:root "$state/images" "$state/log" "$state/setup"
  # Images are read by the node and the control plane, and changed by nobody but the launcher.
  own_directory 710 root:cloister "$state/launcher"
  own_directory 750 root:cloister "$state/launcher/layers"
  own_directory 750 root:prometheus "$etc/prometheus" "$etc/prometheus/rules" "$state/prometheus"
  own_directory 750 prometheus:prometheus "$state/prometheus/data"
  own_directory 755 root:root "$run"
  own_directory 700 root:root "$run/containers"
  own_directory 750 cloister:cloister "$run/cloisterd"
  # With its group for what is made in it: HAProxy's socket is one that cloisterd may use.
  own_directory 2750 haproxy:cloister "$run/edge"
}

# Copies what was built to where service users can read it, whatever the mode of the checkout's parents.
install_binaries() {
  local name
  for name in "${binaries[@]}"; do
    [ -x "$build/bin/$name" ] || die "the build made no $name"
    cmp -s "$build/bin/$name" "$bin/$name" && continue
    install -m 755 "$build/bin/$name" "$bin/.$name.new"
    mv -f "$bin/.$name.new" "$bin/$name"
  done
}

# The first port from 9090 that is free, kept from then on.
prometheus_port() {
  local file=$etc/prometheus.env port=${CLOISTER_PROMETHEUS_PORT:-}
  [ -n "$port" ] || port=$(sed -n 's/^CLOISTER_PROMETHEUS_PORT=//p' "$file" 2>/dev/null) || true
  if [ -z "$port" ]; then
    port=9090
    while port_taken "$port"; do port=$((port + 1)); done
  fi
  echo "$port"
}

prometheus_yaml() {
  cat <<YAML
global:
  scrape_interval: 5s
  evaluation_interval: 15s
rule_files:
  - rules/*.yaml
scrape_configs:
  - job_name: cloister
    static_configs:
      - targets: ["127.0.0.1:$metrics_port"]
YAML
}

# Only what the tree has: a rule that was taken out of it is no longer evaluated.
write_rules() {
  local file
  for file in "$etc"/prometheus/rules/*.yaml; do
    [ ! -e "$file" ] || [ -e "$root/deploy/prometheus/${file##*/}" ] || rm -f "$file"
  done
  for file in "$root"/deploy/prometheus/*.yaml; do
    write_file "$etc/prometheus/rules/${file##*/}" 640 root:prometheus <"$file"
  done
}

# What the provider added to a file of ours: all but the settings that standard input, the new text, has itself.
with_own_settings() { # FILE
  local text
  text=$(cat)
  echo "$text"
  [ -e "$1" ] || return 0
  awk '{key = $0; sub(/[ \t]*=.*/, "", key)}
       FNR == NR {ours[key] = 1; next}
       /^[ \t]*\[/ {table = 1}
       table || !(key in ours)' <(echo "$text") "$1"
}

write_configuration() {
  with_own_settings "$etc/cloisterd.toml" <<TOML | write_file "$etc/cloisterd.toml" 644 root:root
state = "$state"
run = "$run"
listen = "127.0.0.1:$api_port"
metrics_listen = "127.0.0.1:$metrics_port"
apps_domain = "localhost"
edge_url = "http://localhost:$edge_port"
edge_socket = "$run/edge/haproxy.sock"
edge_maps = "$state/edge"${CLOISTER_SETTLE:+
settle_seconds = $CLOISTER_SETTLE}
TOML
  with_own_settings "$etc/node.toml" <<TOML | write_file "$etc/node.toml" 644 root:root
state = "$state"
run = "$run"
name = "$(hostname)"
server = "unix:$run/cloisterd/node-api.sock"
token_file = "$state/node/token"
launcher_socket = "$run/launcher.sock"
TOML
  write_file "$etc/launcher.env" 644 root:root <<ENVIRONMENT
CLOISTER_UID=$(id -u cloister)
CLOISTER_GID=$(getent group cloister | cut -d : -f 3)
ENVIRONMENT
  write_file "$etc/prometheus.env" 644 root:root <<<"CLOISTER_PROMETHEUS_PORT=$(prometheus_port)"
  write_rules
  prometheus_yaml | write_file "$etc/prometheus/prometheus.yml" 640 root:prometheus
}

# Tenants' profiles are compiled here, where a parser is, for a tenant that does not exist: the launcher only changes a number
# in the result and loads it.
compile_apparmor() {
  local directory=$state/launcher/apparmor
  apparmor_enabled || return 0
  install -d -m 700 "$directory"
  "$bin/cloister-launcher" --print-profiles >"$directory/.text.new"
  cmp -s "$directory/.text.new" "$directory/.text" && [ -s "$directory/profiles" ] && return
  apparmor_parser --quiet --skip-kernel-load --skip-cache --ofile "$directory/profiles" "$directory/.text.new" ||
    die "apparmor_parser refused the tenants' profiles"
  mv "$directory/.text.new" "$directory/.text"
}

# Our own processes' profiles: the kernel has them from now on, and from the host's next boot on by its own service.
profiles=/etc/apparmor.d
load_own_profiles() {
  local name
  apparmor_enabled || return 0
  for name in cloisterd cloister-node; do
    with_host_paths "$root/policy/profiles/apparmor/$name" | write_file "$profiles/$name" 644 root:root
    apparmor_parser --quiet --replace --skip-cache "$profiles/$name" >&2 || die "apparmor_parser refused the profile of $name"
  done
}

remove_own_profiles() {
  local name
  for name in cloisterd cloister-node; do
    [ -e "$profiles/$name" ] || continue
    ! apparmor_enabled || apparmor_parser --quiet --remove "$profiles/$name" >&2 || true
    rm -f "$profiles/$name"
  done
}

make_upper_pool() {
  "$root/deploy/upper-pool.sh" "$state/launcher/uppers.ext4" "${CLOISTER_POOL_MIB-}"
}

# Another user's processes can do what they like with one that runs as that user. It gets nothing of root's: no terminal into
# which it could type, no descriptor, no environment.
as_user() { # USER COMMAND...
  local user=$1
  shift
  (cd / && exec setsid --wait setpriv --reuid="$user" --regid="$user" --init-groups --no-new-privs --reset-env -- "$@" </dev/null 9>&-)
}

# A token out of a file of cloister's, which might be a link to a file of root's: it is read as cloister, and is one word.
token_of() { # FILE
  local token
  token=$(as_user cloister timeout 5 head -c 256 -- "$1" 2>/dev/null) || true
  [[ $token =~ ^[A-Za-z0-9_.-]+$ ]] && echo "$token"
}

# An image made from the same inputs is used again; the build directory keeps it over a --purge.
install_base_image() {
  local made
  made=$("$root/deploy/base-image.sh" "$build/images")
  if ! cmp -s "${made%.erofs}.digest" "$state/images/debian-12.digest"; then
    cp --reflink=auto "$made" "$state/images/.debian-12.erofs.new"
    chmod 644 "$state/images/.debian-12.erofs.new"
    mv -f "$state/images/.debian-12.erofs.new" "$state/images/debian-12.erofs"
    install -m 644 "${made%.erofs}.digest" "$state/images/debian-12.digest"
  fi
}

has_maps() { [ -e "$state/edge/hosts.map" ] && [ -e "$state/edge/slots.map" ]; }

# Makes the store, the edge's maps, the admin's and the node's token where they are missing, and registers the base image.
bootstrap_store() {
  local stamp=$state/setup/bootstrapped
  if ! token_of "$state/cloisterd/admin-token" >/dev/null || ! token_of "$state/node/token" >/dev/null ||
    ! has_maps || ! cmp -s "$state/images/debian-12.digest" "$stamp"; then
    as_user cloister "$bin/cloisterd" --config "$etc/cloisterd.toml" bootstrap \
      --admin-token-file "$state/cloisterd/admin-token" --node-token-file "$state/node/token" \
      --base-image "$state/images/debian-12.erofs" >&2 || die "cloisterd bootstrap failed"
    cp "$state/images/debian-12.digest" "$stamp"
  fi
  write_file "$etc/cli.toml" 600 root:root <<TOML
server = "http://127.0.0.1:$api_port"
token = "$(token_of "$state/cloisterd/admin-token")"
TOML
}

# Printed by root: text that a process of cloister's had in its hands would be cloister's own.
write_edge_configuration() {
  local text lua bind=(--bind "*:$edge_port")
  [ ! -e /proc/net/if_inet6 ] || bind+=(--bind "[::]:$edge_port")
  lua=$("$bin/cloisterd" edge-config --lua) &&
    text=$("$bin/cloisterd" --config "$etc/cloisterd.toml" edge-config --lua-file "$etc/haproxy.lua" "${bind[@]}") ||
    die "cloisterd edge-config failed"
  write_file "$etc/haproxy.lua" 644 root:root <<<"$lua"
  write_file "$etc/haproxy.cfg" 644 root:root <<<"$text"
  as_user haproxy /usr/sbin/haproxy -c -q -f "$etc/haproxy.cfg" >&2 || die "haproxy refuses $etc/haproxy.cfg"
}
