#!/bin/bash
# Two tenants that do not trust each other: what one's app can reach of the other, of the host and of the control plane.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ours=$unique-a
theirs=$unique-b
make_plan e2e
make_tenant_of "$ours" e2e
make_tenant_of "$theirs" e2e
expect "deploy ours" deploy_test_app "$ours" shop
expect "deploy theirs" deploy_test_app "$theirs" shop
expect "ours, twice" cloister --tenant "$ours" scale web=2 --app shop
wait_for 20 "two of ours run" has_running "$ours" shop web 2 || true

addresses_of() { json_of '.items[] | select(.state == "running" and .process == "web") | "\(.address) \(.port)"' --tenant "$1" ps shop; }
mapfile -t our_ends < <(addresses_of "$ours")
mapfile -t their_ends < <(addresses_of "$theirs")
expect_equal "both tenants have instances" "2 1" "${#our_ends[@]} ${#their_ends[@]}"
expect_equal "no address is used twice" 3 "$(printf '%s\n' "${our_ends[@]}" "${their_ends[@]}" | sort -u | wc -l)"

# The probe runs in an instance of ours; questions go in on standard input after its source.
probe() { # QUESTION...
  printf '%s\n' "$@" | cloister --tenant "$ours" exec shop -- perl -e "$(cat "$root/tests/e2e/probe.pl")" 2>"$scratch/probe.err"
}
answer() { # QUESTION
  local line
  line=$(grep -F "$1 = " "$scratch/answers" | head -n 1)
  echo "${line#* = }"
}

gateway=$(probe gateway)
gateway=${gateway#* = }
expect_match "an instance has a gateway" '^[0-9.]+$' "$gateway"

host_addresses=$(ip -o -4 addr show scope global | awk '{sub("/.*", "", $4); print $4}')
link_local=$(ip -o -6 addr show scope link | awk '{sub("/.*", "", $4); print $4}' | sort -u | head -n 20)

ports="22 $api_port $metrics_port $edge_port $(prometheus_port)"
questions=()
for end in "${our_ends[@]}"; do questions+=("tcp $end"); done
for end in "${their_ends[@]}"; do questions+=("tcp $end"); done
# The instance's own loopback has its own app's port, and nothing of the host.
own_port=${our_ends[0]#* }
for address in $gateway $host_addresses 127.0.0.1; do
  for port in $ports; do
    [ "$address $port" = "127.0.0.1 $own_port" ] || questions+=("tcp $address $port")
  done
done
for address in $link_local; do questions+=("tcp $address%eth0 $api_port" "tcp $address%eth0 $edge_port"); done
questions+=("tcp 169.254.169.254 80" "tcp fd00:ec2::254 80" "udp ${their_ends[0]% *} 53" "udp 169.254.1.1 53" raw packet
  "source ${their_ends[0]% *}" ipv6)
probe "${questions[@]}" >"$scratch/answers"
expect_equal "every question was answered" "${#questions[@]}" "$(wc -l <"$scratch/answers")"

for end in "${our_ends[@]}"; do expect_equal "ours reaches its own instance $end" open "$(answer "tcp $end")"; done
for end in "${their_ends[@]}"; do expect_equal "ours does not reach theirs at $end" closed "$(answer "tcp $end")"; done
opened=$(for address in $gateway $host_addresses 127.0.0.1; do
  for port in $ports; do
    [ "$address $port" = "127.0.0.1 $own_port" ] || [ "$(answer "tcp $address $port")" = closed ] || echo "$address:$port"
  done
done)
expect_equal "ours reaches no port of the host: API, metrics, edge, Prometheus, SSH" "" "$opened"
opened=$(for address in $link_local; do
  for port in "$api_port" "$edge_port"; do [ "$(answer "tcp $address%eth0 $port")" = closed ] || echo "[$address]:$port"; done
done)
expect_equal "ours reaches no link-local IPv6 address of the host" "" "$opened"
expect_equal "ours reaches no metadata service over IPv4" closed "$(answer "tcp 169.254.169.254 80")"
expect_equal "ours reaches no metadata service over IPv6" closed "$(answer "tcp fd00:ec2::254 80")"
expect_match "a datagram to theirs is not answered" '^(sent|unsent)$' "$(answer "udp ${their_ends[0]% *} 53")"
expect_equal "names are resolved" answered "$(answer "udp 169.254.1.1 53")"
expect_equal "no raw socket, so no forged source" refused "$(answer raw)"
expect_equal "no packet socket" refused "$(answer packet)"
expect_equal "no foreign source address" refused "$(answer "source ${their_ends[0]% *}")"

# The same host's ports are open to the host, or the checks above would prove nothing.
for port in "$api_port" "$edge_port"; do expect "port $port listens" port_taken "$port"; done

# What an instance sees of others
expect_equal "no process of another is seen" 0 \
  "$(cloister --tenant "$ours" exec shop -- sh -c 'cat /proc/[0-9]*/comm' 2>/dev/null </dev/null | grep -cE '^(haproxy|cloisterd|dnsmasq|prometheus)$')"
ids() { cloister --tenant "$1" exec shop -- sh -c 'cat /proc/self/uid_map' 2>/dev/null </dev/null | awk 'NR == 1 {print $2, $3}'; }
our_ids=$(ids "$ours")
their_ids=$(ids "$theirs")
expect_match "ours has a range of ids above the host's" '^[0-9]{5,} ' "$our_ids"
if [ -n "$our_ids" ] && [ "$our_ids" != "$their_ids" ]; then pass "the two have different ids"; else fail "the two have different ids" "$our_ids and $their_ids"; fi

# The API keeps them apart too
token=$(cloister --tenant "$ours" token create e2e 2>/dev/null)
with_token() { "$bin/cloister" --server "$server" --token "$token" "$@"; }
expect_match "our token sees our app" '^shop$' "$(with_token -o json app ls | jq -r '.items[].name')"
expect_equal "our token sees our tenant only" "$ours" "$(with_token -o json app ls | jq -r '.items[].tenant' | sort -u)"
expect_refused "our token does not act for theirs" 'forbidden|not_found' with_token --tenant "$theirs" app show shop
expect_refused "our token does not read their tenant" 'forbidden|not_found' with_token tenant show "$theirs"
expect_refused "our token makes no plan" forbidden with_token plan ls
their_instance=$(json_of '.items[0].id' --tenant "$theirs" ps shop)
expect_refused "our token runs nothing in their instance" 'not_found|forbidden' with_token exec shop --instance "$their_instance" -- id
finish
