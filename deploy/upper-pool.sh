#!/bin/bash
# Makes the empty file system of which cloister-launcher mounts a copy where containers write on disk: ext4 with quotas for
# projects. Without a journal, because nothing in it outlives a crash of the host.
#
#   upper-pool.sh FILE [MIB]     without a size: half of what is free there; a file that is there already is kept
#
# Needs nothing else of the checkout: it is run on other hosts too.
set -euo pipefail

least=256 # MiB
most=$((8 << 20))

die() {
  echo "upper-pool.sh: $*" >&2
  exit 1
}

half_of_what_is_free() { # DIRECTORY
  df --block-size=1M --output=avail "$1" | awk -v least="$least" -v most="$most" \
    'NR == 2 {size = int($1 / 2); print (size < least ? least : (size > most ? most : size))}'
}

main() {
  local file=${1:?usage: upper-pool.sh FILE [MIB]} size=${2-}
  [ ! -s "$file" ] || return 0
  [ -n "$size" ] || size=$(half_of_what_is_free "$(dirname "$file")")
  [[ $size =~ ^[0-9]+$ && $size -ge $least && $size -le $most ]] || die "\"$size\": MiB from $least to $most are needed"
  rm -f "$file.new"
  # Sparse, and only superblocks and maps are written: a terabyte takes 12 MB at first.
  truncate -s "${size}M" "$file.new"
  mkfs.ext4 -q -F -b 4096 -i 8192 -m 0 -O 'quota,project,^has_journal,^resize_inode' \
    -E quotatype=prjquota,lazy_itable_init=1,nodiscard "$file.new" || die "mkfs.ext4 failed"
  mv "$file.new" "$file"
}
main "$@"
