#!/bin/bash
# Makes the base image "debian-12": a Debian 12 of required packages, whole, as Debian's own container image is; a user
# `app`, certificates and mkfs.erofs, as an erofs image. Its packages come from this machine's own Debian entries for apt,
# and those stay in the image so that `apt-get` works in builds. Nothing in it has a set-uid or set-gid bit, a capability
# or a device number, and its programs load nothing that is not Debian's.
#
#   base-image.sh DIRECTORY     prints the path of the image; one that the same inputs made before is used again
#
# Layout: DIRECTORY/debian-12-<inputs>.erofs, and DIRECTORY/debian-12-<inputs>.digest with its SHA-256.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/deploy/lib.sh"

release=bookworm
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
include=ca-certificates,erofs-utils
local_certificates=/usr/local/share/ca-certificates
work=

debian_entries() {
  apt-get indextargets --format "deb [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Created-By: Packages' 'Origin: Debian' |
    grep -E " (http|https|mirror\+http)[^ ]* $release(-[a-z]+)* " | sort -u
}

# Absent before the first `apt-get update` of a machine.
write_sources() {
  debian_entries >"$1" 2>/dev/null || {
    apt_get update
    debian_entries >"$1" || die "base image: apt on this machine has no entry of Debian $release"
  }
}

# What the image depends on: this script, the entries and the certificates.
inputs() { # SOURCES
  {
    cat "${BASH_SOURCE[0]}" "$1"
    find "$local_certificates" -name '*.crt' -type f -print0 2>/dev/null | sort -z | xargs -0r cat
  } | sha256sum | cut -c 1-12
}

# Newest date of the archive's signed indices: two machines with the same archive make files of the same times.
archive_date() {
  local newest=0 date seconds
  while IFS= read -r date; do
    seconds=$(date -d "$date" +%s) && [ "$seconds" -gt "$newest" ] && newest=$seconds
  done < <(sed -n 's/^Date: //p' /var/lib/apt/lists/*_dists_"$release"*_*Release 2>/dev/null)
  echo "$newest"
}

proxy_options() {
  local scheme value
  for scheme in http https; do
    value=$(apt-config dump "Acquire::$scheme::Proxy" | sed -n "s/^Acquire::$scheme::Proxy \"\(.*\)\";$/\1/p")
    [ -z "$value" ] || printf '%s\n' "--aptopt=Acquire::$scheme::Proxy \"$value\""
  done
}

bootstrap() { # TREE SOURCES
  local proxy
  mapfile -t proxy < <(proxy_options)
  mmdebstrap --mode=root --variant=minbase --format=directory --quiet --include="$include" "${proxy[@]}" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Sandbox::Seccomp "false"' \
    "$release" "$1" "$2" >"$work/log" 2>&1 </dev/null || {
    tail -n 40 "$work/log" >&2
    die "base image: mmdebstrap failed"
  }
}

# apt and dpkg as they suit a build: its files are no safer for an fsync, archives are not kept once they are installed,
# lists stay compressed, and the services of packages are not started.
configure_packages() { # TREE
  echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/cloister"
  cat >"$1/etc/apt/apt.conf.d/cloister" <<'EOF'
APT::Keep-Downloaded-Packages "false";
Acquire::GzipIndexes "true";
EOF
  printf '#!/bin/sh\n# Asked by invoke-rc.d: a build has no services.\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
  chmod 644 "$1/etc/dpkg/dpkg.cfg.d/cloister" "$1/etc/apt/apt.conf.d/cloister"
}

# A build's root and the app have one home, also for what asks passwd and not HOME for it, as Java does.
make_users() { # TREE
  chroot "$1" groupadd --gid 1000 app
  chroot "$1" useradd --uid 1000 --gid 1000 --home-dir /home/app --no-create-home --shell /bin/sh app
  chroot "$1" usermod --home /home/app root
  install -d -o 1000 -g 1000 -m 755 "$1/app" "$1/home/app"
}

configure() { # TREE
  local tree=$1
  if compgen -G "$local_certificates/*.crt" >/dev/null; then
    cp -L "$local_certificates"/*.crt "$tree$local_certificates/"
    chroot "$tree" update-ca-certificates >>"$work/log" 2>&1
  fi
  make_users "$tree"
  configure_packages "$tree"
  # A proxy of this host may be named with its password, and tenants read the image.
  sed -i '/::Proxy /d' "$tree/etc/apt/apt.conf.d/99mmdebstrap"
}

# Leaves only what every container of every tenant may see: no host name, no resolver, no caches, no privileges. Logs are
# emptied; every directory stays.
clean() { # TREE
  local tree=${1:?}
  rm -f "$tree/etc/hostname" "$tree/etc/resolv.conf" "$tree"/etc/*- "$tree/var/cache/ldconfig/aux-cache"
  : >"$tree/etc/resolv.conf"
  : >"$tree/etc/hostname"
  : >"$tree/etc/machine-id"
  ln -sfn /proc/self/mounts "$tree/etc/mtab"
  rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* "$tree"/var/cache/debconf/*-old \
    "${tree:?}"/run/* "${tree:?}"/tmp/* "${tree:?}"/dev/*
  find "$tree/var/log" -type f -exec truncate --size=0 {} +
  install -d -m 755 "$tree/var/lib/apt/lists/partial" "$tree/var/cache/apt/archives/partial"
  install -d -m 1777 "$tree/run/lock"
  find "$tree" -xdev \( -type b -o -type c -o -type p -o -type s \) -delete
  find "$tree" -xdev \( -type f -o -type d \) -perm /6000 -exec chmod ug-s {} +
}

# Clusters of 16 KiB: most of the gain of larger ones, and a page that is read costs a quarter. SOURCE_DATE_EPOCH keeps
# the files' own times, none later, and takes the place of this moment's in the image.
freeze() { # TREE FILE
  mkfs.erofs --quiet -zlz4hc,9 -C16384 -x-1 -U00000000-0000-0000-0000-000000000000 "$2.part" "$1" \
    >>"$work/log" 2>&1 || {
    tail -n 20 "$work/log" >&2
    die "base image: mkfs.erofs failed"
  }
  sha256sum "$2.part" | cut -d ' ' -f 1 >"${2%.erofs}.digest"
  mv "$2.part" "$2"
}

main() {
  local directory=${1:?usage: base-image.sh DIRECTORY} image
  need_root
  mkdir -p "$directory"
  work=$(mktemp -d "${TMPDIR:-/var/tmp}/cloister-base.XXXXXX")
  trap 'rm -rf --one-file-system "$work"' EXIT
  write_sources "$work/sources.list"
  image=$directory/debian-12-$(inputs "$work/sources.list").erofs
  if [ ! -f "$image" ]; then
    say "base image: bootstrapping Debian 12 (once, about a minute)"
    SOURCE_DATE_EPOCH=$(archive_date)
    export SOURCE_DATE_EPOCH
    bootstrap "$work/tree" "$work/sources.list"
    configure "$work/tree"
    clean "$work/tree"
    say "base image: freezing $(du -sm --one-file-system "$work/tree" | cut -f 1) MiB"
    freeze "$work/tree" "$image"
  fi
  echo "$image"
}
main "$@"
