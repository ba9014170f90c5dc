#!/bin/bash
# From a price list to a statement that the tenant has checked, with the command line tool.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e-billed --cpu 2
make_tenant_of "$tenant" e2e-billed

# The book outlives the tests: a list is added once a host.
cat >"$scratch/prices.toml" <<'PRICES'
name = "e2e"
currency = "EUR"
from = 2020-01-01T00:00:00Z
[[items]]
sku = "cpu"
meter = "cpu"
unit = "core-second"
tiers = [{ up_to = 2, price = "0.01" }, { price = "0.5" }]
[[items]]
sku = "memory"
meter = "memory_allocated"
unit = "mib-hour"
tiers = [{ price = "0.001" }]
[[plans]]
plan = "e2e-billed"
fee = "3"
[[taxes]]
name = "VAT"
percent = "19"
PRICES
if [ "$(json_of '[.items[] | select(.name == "e2e")] | length' price ls)" = 0 ]; then
  expect "a price list in TOML is taken" cloister price add "$scratch/prices.toml"
fi
expect_refused "a list that overlaps names the field" "from|name" cloister price add "$scratch/prices.toml"
sed 's/up_to = 2/up_to = 0/' "$scratch/prices.toml" >"$scratch/bad.toml"
expect_refused "a tier that ends before it begins names the field" 'items\[0\].tiers\[0\].up_to' cloister price add "$scratch/bad.toml"

expect "budget" cloister --tenant "$tenant" budget set 1
cp -r "$root/tests/e2e/app" "$scratch/burner"
expect "deploy" deploy_test_app "$tenant" burner "$scratch/burner"
url=$(app_url "$tenant" burner)
wait_for 20 "the app answers" answers "$url/" || true
fetch "$url/burn?seconds=4" --max-time 60 >/dev/null 2>&1

lines() { json_of "[.lines[] | select(.sku == \"$1\")] | length" --tenant "$tenant" invoice preview; }
has_lines() { [ "$(lines cpu)" != 0 ] && [ "$(lines memory)" != 0 ] && [ "$(lines plan-e2e-billed)" != 0 ]; }
expect "the month's draft has CPU, memory and the plan's fee" wait_for 60 "usage in the draft" has_lines
expect_match "the draft is a table for people" "TOTAL [0-9.]+ EUR" "$(cloister --tenant "$tenant" invoice preview)"
reached() { json_of '.items[].kind' --tenant "$tenant" events | grep -q budget.reached; }
expect "an event tells that the budget is reached" wait_for 60 "budget event" reached

# What images took is on record at each change of their sum, and once an hour.
echo changed >"$scratch/burner/changed"
expect "another deploy" deploy_test_app "$tenant" burner "$scratch/burner"
stored() { json_of '.items[].meter' --tenant "$tenant" usage | grep -q image_storage; }
expect "usage has what the first image took" wait_for 30 "usage of images" stored

key=$(cloister usage key)
expect_match "the key is 64 digits" '^[0-9a-f]{64}$' "$key"
expect "export" cloister --tenant "$tenant" usage export -O "$scratch/month.statement"
# Offline: no server, no token.
expect_match "the statement holds" "holds: [0-9]+ rows" \
  "$(env -i PATH="$PATH" "$bin/cloister" usage verify "$scratch/month.statement" --key "$key" 2>&1)"
expect "the nodes' keys" cloister usage key --nodes
cloister usage key --nodes >"$scratch/hosts.pub"
expect_match "each node has a key" '[0-9a-f]{64}' "$(cat "$scratch/hosts.pub")"
expect_match "the statement says who vouches for its rows" "under the hosts' own seals: [0-9]+" \
  "$(env -i PATH="$PATH" "$bin/cloister" usage verify "$scratch/month.statement" --key "$key" --node-key "$scratch/hosts.pub" 2>&1)"
row=$(grep -n $'^row\t' "$scratch/month.statement" | sed -n 5p)
number=$(cut -f2 <<<"${row#*:}")
sed "${row%%:*}s/\t\([0-9]*\)\t\([0-9]\{16\}\)\t/\t1\1\t\2\t/" "$scratch/month.statement" >"$scratch/forged.statement"
expect_refused "a changed quantity is found, and its row named" "row $number: " \
  cloister usage verify "$scratch/forged.statement" --key "$key"
head -n -1 "$scratch/month.statement" >"$scratch/cut.statement"
expect_refused "a statement without its seal is none" "seal" cloister usage verify "$scratch/cut.statement" --key "$key"

expect "FOCUS" cloister --tenant "$tenant" usage export -f focus -O "$scratch/focus.csv"
expect_match "the FOCUS file conforms" "conforms" "$(cloister usage check-focus "$scratch/focus.csv" 2>&1)"
expect "HTML" cloister --tenant "$tenant" invoice preview -f html -O "$scratch/invoice.html"
expect_match "the page is one" "<title>Invoice" "$(cat "$scratch/invoice.html")"
sed 's/price = "0.5"/price = "50"/; s/name = "e2e"/name = "dear"/' "$scratch/prices.toml" >"$scratch/dear.toml"
expect_match "a dry run with other prices" "dry run" "$(cloister --tenant "$tenant" invoice rate --prices "$scratch/dear.toml" 2>&1)"
expect_refused "a month that is not over is not closed" "not over" cloister invoice close "$(date -u +%Y-%m)"
expect "credit" cloister --tenant "$tenant" credit add 1 "e2e"
expect_match "the credit is on the draft" "Credit: e2e" "$(cloister --tenant "$tenant" invoice preview)"

# A hard budget stops the tenant.
expect "a hard budget" cloister --tenant "$tenant" budget set 0.01 --hard
suspended() { [ "$(json_of .state tenant show "$tenant")" = suspended ]; }
expect "it suspends the tenant once it is spent" wait_for 60 "suspension" suspended
finish
