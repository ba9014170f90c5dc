#!/bin/bash
# Makes the guest's image and its saved state, or finds both in the cache (tests/vm/machine.sh draws it). Prints the image's
# directory. Asks nothing; needs root, the packages in deploy/packages.test and this machine's own Debian entries for apt.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/deploy/lib.sh"
. "$root/tests/vm/machine.sh"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
boot_limit=${CLOISTER_VM_BOOT_LIMIT:-600} # seconds
scratch=

# Debian's own entries of this machine's apt, whatever form they have; none before the first update.
debian_entries() { # CODENAME
  apt-get indextargets --format "deb [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
    'Created-By: Packages' 'Origin: Debian' | grep -E " $1(-[a-z]+)* " | sort -u
}

# Debian's own programs only: mmdebstrap starts a python3 for each package, and one that a version manager shims is slow.
bootstrap() { # CODENAME TREE
  local include
  include=$(vm_packages | paste -sd,)
  PATH=/usr/sbin:/usr/bin:/sbin:/bin vm_kernel=$vm_kernel mmdebstrap --mode=root --variant=essential --format=directory \
    --quiet --include="$include" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
    --aptopt='APT::Sandbox::Seccomp "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/include/*' --dpkgopt='path-exclude=*/lib*.a' \
    --customize-hook="bash '$vm_here/image/setup.sh' \"\$1\" '$scratch/image'" \
    "$1" "$2" "$scratch/sources.list" >"$scratch/log" 2>&1 </dev/null || {
    tail -n 40 "$scratch/log" >&2
    die "vm image: mmdebstrap failed"
  }
}

# mke2fs fills the file system from the tree: no loop device, no mount. No journal either: nothing of it outlives a run.
make_image() { # DIRECTORY
  local codename
  # shellcheck disable=SC1091  # the host's own file
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  scratch=$vm_cache/making.$$
  trap 'rm -rf --one-file-system "$scratch"' EXIT
  mkdir -p "$scratch/image"
  debian_entries "$codename" >"$scratch/sources.list" || {
    apt_get update
    debian_entries "$codename" >"$scratch/sources.list" || die "vm image: apt on this machine has no entry of Debian $codename"
  }
  say "vm image: bootstrapping Debian $codename with its own kernel"
  bootstrap "$codename" "$scratch/tree"
  say "vm image: filling the disk with $(du -sm --one-file-system "$scratch/tree" | cut -f 1) MiB"
  mke2fs -q -F -t ext4 -O ^has_journal -E lazy_itable_init=1 -m 0 -L vmroot -d "$scratch/tree" "$scratch/image/root.ext4" \
    "$vm_disk" >/dev/null
  rm -rf --one-file-system "$1"
  mv "$scratch/image" "$1"
  touch "$1/ok"
  rm -rf --one-file-system "$scratch"
  trap - EXIT
}

# Boots once, until the agent is ready, and saves the whole machine: runs start from there. A machine that runs on while it is
# saved is one that runs when it is restored.
make_state() { # IMAGE DIRECTORY
  local image=$1 line pid turn
  rm -rf --one-file-system "$2"
  mkdir -p "$2"
  cd "$2"
  qemu-img create -q -f qcow2 -b "$image/root.ext4" -F raw disk.qcow2
  truncate -s "$vm_blank" blank
  mkfifo control.in control.out monitor.in monitor.out
  exec 4<>control.out 5<>monitor.in 6<>monitor.out
  say "vm image: booting, to save the machine's state"
  vm_machine "$image" -drive if=none,id=root,file=disk.qcow2,format=qcow2,cache=unsafe \
    -drive "$(vm_drive job blank read-only=on)" -drive "$(vm_drive scratch0 blank snapshot=on)" \
    -drive "$(vm_drive scratch1 blank snapshot=on)" -chardev pipe,id=control,path=control \
    -chardev file,id=out,path=/dev/null -chardev file,id=err,path=/dev/null -chardev file,id=files,path=/dev/null \
    -netdev hubport,id=net,hubid=0 -serial file:console -chardev pipe,id=monitor,path=monitor -mon chardev=monitor \
    9>&- 2>qemu.log &
  pid=$!
  trap 'kill $pid 2>/dev/null || true' EXIT
  for ((turn = 0; ; turn++)); do
    read -r -t 1 line <&4 && [ "$line" = READY ] && break
    kill -0 "$pid" 2>/dev/null && [ "$turn" -lt "$boot_limit" ] || {
      tail -n 60 console qemu.log >&2
      die "vm image: the guest did not boot within $boot_limit s; its console is above"
    }
  done
  printf 'migrate "exec:cat >memory"\nquit\n' >&5
  wait "$pid"
  trap - EXIT
  exec 4>&- 5>&- 6>&-
  rm -f control.* monitor.*
  [ "$(stat -c %s memory)" -gt 10000000 ] || die "vm image: QEMU saved no state"
  touch ok
}

main() {
  local image state
  need_root
  image=$vm_cache/$(vm_image_key)
  state=$image/state-$(vm_state_key)
  if [ ! -f "$state/ok" ]; then
    mkdir -p "$vm_cache"
    exec 9>"$vm_cache/lock"
    flock 9
    [ -f "$image/ok" ] || make_image "$image" 9>&-
    [ -f "$state/ok" ] || (make_state "$image" "$state")
    # Images of other keys that no run has used for two weeks.
    find "$vm_cache" -mindepth 1 -maxdepth 1 -type d ! -path "$image" -mtime +14 -exec rm -rf --one-file-system {} +
    say "vm image: $(du -sh "$image" | cut -f 1) in $image"
  fi
  touch "$image"
  echo "$image"
}
main "$@"
