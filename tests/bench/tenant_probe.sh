# The tenant of tenant_probe.py: `make_probe` makes it, with an app, on the Cloister that runs, and $scratch/probe, its file. Its
# plan `bench` and its source $scratch/app are there for others too. Sourced, after own_cloister.sh.
# shellcheck shell=bash
make_probe() {
  mkdir "$scratch/app"
  cp "$root/tests/bench/idle_app.pl" "$scratch/app/server.pl"
  printf '[processes]\nweb = "exec perl server.pl"\n[limits]\nmemory = "48M"\ncpu = 0.2\ndisk = "8M"\npids = 32\n' >"$scratch/app/cloister.toml"
  cloister plan create bench --memory 128M --cpu 1 --pids 128 --disk 64M --inodes 5000 --network 100M --instances 3 --apps 3 \
    --build-memory 256M --build-disk 64M --build-time 60s >/dev/null
  cloister tenant create probe --plan bench >/dev/null
  cloister --tenant probe deploy "$scratch/app" --app idle >"$scratch/deploy.log" 2>&1 </dev/null || { tail -n 5 "$scratch/deploy.log" >&2 && exit 1; }
  {
    cloister token create probe --tenant probe 2>/dev/null
    printf '%s\n' probe idle "$CLOISTER_BIN/cloister" "$scratch/app"
  } >"$scratch/probe"
}
