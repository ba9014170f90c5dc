#!/bin/bash
# `up` writes its settings anew each time; what the provider has added to the file stays.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
. "$root/deploy/lib.sh"
. "$root/deploy/config.sh"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
file=$directory/cloisterd.toml
text=$'state = "new"\nrun = "r"'

same() { # WHAT WANTED GOT
  [ "$2" = "$3" ] || die "$1: wanted"$'\n'"$2"$'\n'"got"$'\n'"$3"
}

same "no file" "$text" "$(with_own_settings "$file" <<<"$text")"
added=$'ledger = "postgresql:///x?host=/run"\n# mine\n[limits]\nstate = 5'
printf 'state = "old"\nrun="gone"\n%s\n' "$added" >"$file"
same "added settings" "$text"$'\n'"$added" "$(with_own_settings "$file" <<<"$text")"
with_own_settings "$file" <<<"$text" >"$file.new"
mv "$file.new" "$file"
same "twice" "$text"$'\n'"$added" "$(with_own_settings "$file" <<<"$text")"
