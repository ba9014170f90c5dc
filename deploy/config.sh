# The user, the directories, the configuration files and the tokens. Sourced by up, after lib.sh.
# shellcheck shell=bash

make_users() {
  getent group cloister >/dev/null || groupadd --system cloister
  getent passwd cloister >/dev/null || {
    useradd --system --gid cloister --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin cloister
    install -d -m 755 "$state/setup"
    touch "$state/setup/made-user"
  }
}

# Only the user that we made, so that a second Cloister with directories of its own keeps it.
remove_user() {
  [ -e "$state/setup/made-user" ] || return 0
  userdel cloister 2>/dev/null || true
  groupdel cloister 2>/dev/null || true
}

make_directories() {
  install -d -m 755 "$etc" "$bin"
  install -d -m 755 -o root -g cloister "$state"
  install -d -m 750 -o cloister -g cloister "$state/cloisterd" "$state/node"
  install -d -m 755 -o cloister -g cloister "$state/edge"
  install -d -m 755 -o root -g root "$state/images" "$state/log" "$state/setup"
  install -d -m 700 -o root -g root "$state/launcher"
  install -d -m 750 -o prometheus -g prometheus "$state/prometheus" "$state/prometheus/data"
  # Sticky: cloisterd makes its socket here and cannot move what the launcher keeps beside it.
  install -d -m 1775 -o root -g cloister "$run"
  install -d -m 700 -o root -g root "$run/containers"
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
scrape_configs:
  - job_name: cloister
    static_configs:
      - targets: ["127.0.0.1:$metrics_port"]
YAML
}

write_configuration() {
  write_file "$etc/cloisterd.toml" 644 root:root <<TOML
state = "$state"
run = "$run"
listen = "127.0.0.1:$api_port"
metrics_listen = "127.0.0.1:$metrics_port"
apps_domain = "localhost"
edge_url = "http://localhost:$edge_port"
edge_socket = "$run/haproxy.sock"
edge_maps = "$state/edge"
TOML
  write_file "$etc/node.toml" 644 root:root <<TOML
state = "$state"
run = "$run"
name = "$(hostname)"
server = "unix:$run/node-api.sock"
token_file = "$state/node/token"
launcher_socket = "$run/launcher.sock"
TOML
  write_file "$etc/launcher.env" 644 root:root <<ENVIRONMENT
CLOISTER_UID=$(id -u cloister)
CLOISTER_GID=$(getent group cloister | cut -d : -f 3)
ENVIRONMENT
  write_file "$etc/prometheus.env" 644 root:root <<<"CLOISTER_PROMETHEUS_PORT=$(prometheus_port)"
  prometheus_yaml | write_file "$state/prometheus/prometheus.yml" 640 root:prometheus
}

# Profiles are compiled here, where a parser is, so that the launcher only loads bytes.
compile_apparmor() {
  local class text name directory=$state/launcher/apparmor
  apparmor_enabled || return 0
  install -d -m 700 "$directory"
  for class in app build exec freeze; do
    text=$("$bin/cloister-launcher" --print-profile "$class")
    name=cloister-$class
    cmp -s - "$directory/.$name.text" <<<"$text" && [ -s "$directory/$name" ] && continue
    apparmor_parser --quiet --skip-kernel-load --skip-cache --ofile "$directory/$name" <<<"$text" ||
      die "apparmor_parser refused the profile of class $class"
    cat >"$directory/.$name.text" <<<"$text"
  done
}

as_cloister() { setpriv --reuid=cloister --regid=cloister --init-groups --no-new-privs -- "$@"; }

# An image made from the same inputs is used again; the build directory keeps it over a --purge.
install_base_image() {
  local made
  made=$("$root/deploy/base-image.sh" "$build/images")
  if ! cmp -s "${made%.squashfs}.digest" "$state/images/debian-12.digest"; then
    cp --reflink=auto "$made" "$state/images/.debian-12.squashfs.new"
    chmod 644 "$state/images/.debian-12.squashfs.new"
    mv -f "$state/images/.debian-12.squashfs.new" "$state/images/debian-12.squashfs"
    install -m 644 "${made%.squashfs}.digest" "$state/images/debian-12.digest"
  fi
}

# Makes the store, the admin's and the node's token where they are missing, and registers the base image.
bootstrap_store() {
  local stamp=$state/setup/bootstrapped
  if [ ! -s "$state/cloisterd/admin-token" ] || [ ! -s "$state/node/token" ] ||
    ! cmp -s "$state/images/debian-12.digest" "$stamp"; then
    as_cloister "$bin/cloisterd" --config "$etc/cloisterd.toml" bootstrap \
      --admin-token-file "$state/cloisterd/admin-token" --node-token-file "$state/node/token" \
      --base-image "$state/images/debian-12.squashfs" >&2 || die "cloisterd bootstrap failed"
    cp "$state/images/debian-12.digest" "$stamp"
  fi
  write_file "$etc/cli.toml" 600 root:root <<TOML
server = "http://127.0.0.1:$api_port"
token = "$(cat "$state/cloisterd/admin-token")"
TOML
}

write_edge_configuration() {
  local text
  text=$(as_cloister "$bin/cloisterd" --config "$etc/cloisterd.toml" edge-config --bind "*:$edge_port") || die "cloisterd edge-config failed"
  write_file "$state/edge/haproxy.cfg" 644 root:root <<<"$text"
  haproxy -c -q -f "$state/edge/haproxy.cfg" >&2 || die "haproxy refuses $state/edge/haproxy.cfg"
}
