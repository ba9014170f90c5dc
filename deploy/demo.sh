# The plan, the tenant and the example apps that a fresh host starts with, and what `up` says at the end. Sourced by up.
# shellcheck shell=bash

demo_tenant=demo
examples=(static-site nginx node-web)

make_tenant() {
  cloister plan show small >/dev/null 2>&1 ||
    cloister plan create small --memory 1G --cpu 1 --pids 512 --disk 2G --inodes 200000 --network 100M --instances 8 \
      --apps 10 --build-memory 2G --build-disk 2G --build-time 900s >/dev/null ||
    die "plan small could not be created"
  cloister tenant show "$demo_tenant" >/dev/null 2>&1 || cloister tenant create "$demo_tenant" --plan small >/dev/null ||
    die "tenant $demo_tenant could not be created"
}

# Names and contents of a directory's files.
source_fingerprint() {
  (cd "$1" && find . -type f -not -path './node_modules/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
}

app_field() { # APP FIELD
  cloister --tenant "$demo_tenant" -o json app show "$1" 2>/dev/null | jq -r ".$2 // empty" || true
}

deploy_examples() {
  local app directory stamp wanted
  install -d -m 755 "$state/setup/deployed"
  for app in "${examples[@]}"; do
    directory=$root/examples/$app
    stamp=$state/setup/deployed/$app
    [ -d "$directory" ] || continue
    wanted="$(source_fingerprint "$directory") $(cat "$state/images/debian-12.digest")"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && [ -n "$(app_field "$app" release)" ]; then
      continue
    fi
    say "deploying examples/$app"
    deploy_app "$app" "$directory" || die "examples/$app was not deployed; the build's output is above"
    echo "$wanted" >"$stamp"
  done
}

deploy_app() { # APP DIRECTORY
  local log=$state/setup/deployed/$1.log
  if ! cloister_within 1200 --tenant "$demo_tenant" deploy "$2" --app "$1" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    return 1
  fi
}

app_serves() { [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 3 --resolve "$1:$edge_port:127.0.0.1" "$2")" = 200 ]; }

await_apps() {
  local app host url
  for app in "${examples[@]}"; do
    url=$(app_field "$app" url)
    [ -n "$url" ] || continue
    host=${url#*://}
    host=${host%%[:/]*}
    wait_for 60 "$url answers 200" app_serves "$host" "$url/" || {
      cloister --tenant "$demo_tenant" ps "$app" >&2 || true
      cloister --tenant "$demo_tenant" logs --app "$app" 2>/dev/null | tail -n 15 >&2 || true
      die "$app was deployed and does not answer"
    }
  done
}

print_summary() {
  local app url
  echo
  echo "Cloister runs."
  for app in "${examples[@]}"; do
    url=$(app_field "$app" url)
    [ -z "$url" ] || printf '  %-12s %s\n' "$app" "$url"
  done
  printf '  %-12s %s\n' API "http://127.0.0.1:$api_port" Prometheus "http://127.0.0.1:$(prometheus_port)" \
    "admin token" "$state/cloisterd/admin-token (cloister finds it in $etc/cli.toml)"
  echo
  echo "Usage of tenant $demo_tenant so far:"
  cloister --tenant "$demo_tenant" usage | sed 's/^/  /'
  echo
  echo "Posture:"
  cloister posture | sed 's/^/  /'
}
