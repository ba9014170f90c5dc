#!/bin/bash
# mmdebstrap's hook: makes a test guest of the tree $1, and puts kernel and initrd beside its image in $2.
# From outside: vm_kernel, the meta package of the kernel.
set -euo pipefail
tree=$1 image=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The tree's own apt configuration, worked on by this machine's apt.
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG

# The kernel's package is unpacked and not installed: no initramfs-tools, no general initrd, half a minute less.
take_kernel() {
  local package
  package=$(apt-cache depends "${vm_kernel:?}" | awk '/^ +Depends: linux-image-[0-9]/ {print $2; exit}')
  chmod 755 "$scratch"
  (cd "$scratch" && apt-get -qq -o APT::Sandbox::User=root download "$package" && dpkg-deb -x ./*.deb kernel)
  version=$(ls "$scratch/kernel/lib/modules")
  cp -a "$scratch/kernel/lib/modules" "$tree/usr/lib/"
  cp "$scratch/kernel/boot/config-$version" "$tree/boot/"
  cp "$scratch/kernel/boot/vmlinuz-$version" "$image/vmlinuz"
  chroot "$tree" depmod -a "$version"
}

# Busybox and the modules that reach the root file system, each after those that it needs. What is built in has no line.
make_initrd() {
  local initrd=$scratch/initrd modules=$tree/usr/lib/modules/$version file
  mkdir -p "$initrd"/{bin,dev,proc,sys,new,modules}
  cp "$tree/usr/bin/busybox" "$initrd/bin/"
  install -m 755 "$here/initrd-init" "$initrd/init"
  for module in virtio_pci virtio_blk crc32c_generic ext4; do
    awk -F': *' -v module="/$module.ko" \
      'index($1, module) {n = split($2, needed, " "); for (i = n; i > 0; i--) print needed[i]; print $1}' "$modules/modules.dep"
  done | awk '!seen[$0]++' | while read -r file; do
    cp "$modules/$file" "$initrd/modules/"
    basename "$file"
  done >"$scratch/order"
  mv "$scratch/order" "$initrd/modules/order"
  (cd "$initrd" && find . | cpio --quiet -o -H newc -R 0:0) >"$image/initrd"
}

# Nothing runs that a test did not start: no timer, no getty, no service of a package's own.
quieten_systemd() {
  local unit
  chroot "$tree" systemctl list-unit-files --no-legend --no-pager --state=enabled | awk '{print $1}' |
    while read -r unit; do
      case $unit in
        apparmor.service | *.target | dbus*) ;;
        *) chroot "$tree" systemctl --quiet disable "$unit" 2>/dev/null || true ;;
      esac
    done
  chroot "$tree" systemctl --quiet mask getty.target getty@tty1.service ldconfig.service proc-sys-fs-binfmt_misc.automount \
    systemd-binfmt.service systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-journal-flush.service \
    systemd-logind.service systemd-machine-id-commit.service systemd-pstore.service systemd-random-seed.service \
    systemd-tmpfiles-clean.timer systemd-update-done.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
  mkdir -p "$tree/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\n' >"$tree/etc/systemd/journald.conf.d/vm.conf"
  chroot "$tree" systemctl --quiet enable vm-agent.service
  chroot "$tree" systemctl --quiet set-default multi-user.target
}

install -m 755 "$here/agent" "$tree/usr/local/sbin/vm-agent"
install -m 644 "$here/agent.service" "$tree/etc/systemd/system/vm-agent.service"
chroot "$tree" perl -c /usr/local/sbin/vm-agent
take_kernel
make_initrd
quieten_systemd
echo vm >"$tree/etc/hostname"
printf '127.0.0.1 localhost vm\n::1 localhost\n' >"$tree/etc/hosts"
: >"$tree/etc/fstab"
rm -f "$tree/etc/resolv.conf"
tr -d '-' </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
rm -rf "$tree"/etc/apt/sources.list "$tree"/etc/apt/sources.list.d/* "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/* \
  "$tree"/var/log/apt
