# The virtual machine of tests/vm: its settings, its command line, and where its image is cached. Sourced, never run.
#
#   $vm_cache/<key>/           an image; the key covers all that it is made of
#       vmlinuz  initrd  root.ext4  ok
#       state-<key>/           the machine after its boot, saved; the key covers QEMU and the machine's shape
#           disk.qcow2  memory  ok
#   $vm_cache/lock             held while something is made
#
# Callers set `root`, the checkout, and source deploy/lib.sh first.
# shellcheck shell=bash
: "${root:?set root before sourcing tests/vm/machine.sh}"

vm_here=$root/tests/vm
vm_cache=${CLOISTER_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cloister-vm}
vm_kernel=${CLOISTER_VM_KERNEL:-linux-image-cloud-amd64}
vm_memory=${CLOISTER_VM_MEMORY:-2048} # MiB
vm_cpus=${CLOISTER_VM_CPUS:-2}
vm_disk=8G  # of the root file system; sparse
vm_blank=4G # of the job's and the scratch disks: fixed, because a restored guest does not ask for sizes again
vm_append="console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off init_on_alloc=0 tsc=reliable"
vm_qemu=qemu-system-x86_64

# What the guest has installed beyond Debian's essential packages: all that a running Cloister needs, and all that tests do.
vm_packages() { listed_packages "$root/deploy/packages.runtime" "$vm_here/image/packages" | tr -s ' \n' '\n' | sort -u; }

# Versions of Debian's packages are no part of it: CLOISTER_VM_REFRESH with any new word (a date) takes those anew.
vm_image_key() {
  {
    cat "$vm_here"/image/* "$vm_here/image.sh"
    vm_packages
    echo "$vm_kernel $vm_disk ${CLOISTER_VM_REFRESH-}"
  } | sha256sum | cut -c 1-16
}

vm_state_key() {
  {
    "$vm_qemu" --version
    echo "$vm_memory $vm_cpus $vm_append"
    declare -f vm_machine
  } | sha256sum | cut -c 1-12
}

# Replaces the (sub)shell by the machine. Its shape is the same when its state is saved and when it is restored; only what is
# behind each id may differ: drives root, job, scratch0, scratch1; chardevs control, out, err, files; netdev net.
#   la57=off        five-level page tables make every miss of the TLB dearer under emulation
#   erms=off        else kernel and libc copy by "rep movsb", emulated one byte a turn
#   tsc=reliable    else the clock is an emulated HPET, which costs an exit a read
#   panic=-1, -no-reboot    a panic ends QEMU
# NVMe, virtiofs and a user-mode network would keep the state from being saved or restored.
vm_machine() { # IMAGE [QEMU-ARGUMENT...]
  local image=$1
  shift
  exec "$vm_qemu" -M q35 -accel tcg,thread=multi -cpu max,la57=off,erms=off -smp "$vm_cpus" -m "$vm_memory" \
    -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$image/vmlinuz" -initrd "$image/initrd" -append "$vm_append" "$@" \
    -device virtio-blk-pci,drive=root,serial=root -device virtio-blk-pci,drive=job,serial=job \
    -device virtio-blk-pci,drive=scratch0,serial=scratch0 -device virtio-blk-pci,drive=scratch1,serial=scratch1 \
    -device virtio-serial-pci \
    -device virtserialport,chardev=control,name=vm.control -device virtserialport,chardev=out,name=vm.out \
    -device virtserialport,chardev=err,name=vm.err -device virtserialport,chardev=files,name=vm.files \
    -device virtio-net-pci,netdev=net,romfile= -device virtio-rng-pci </dev/null
}

# A -drive of a file that is written without care: all of it is thrown away.
vm_drive() { # ID FILE [OPTION]
  echo "if=none,id=$1,file=$2,format=raw,${3:-cache=unsafe,discard=unmap}"
}
