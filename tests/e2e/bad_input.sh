#!/bin/bash
# What is wrong is refused with the field or limit at fault, and leaves nothing half-made.
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tenant=$unique
make_plan e2e-small --memory 256M --pids 96 --disk 128M --inodes 5000 --instances 2 --apps 6 --build-memory 256M --build-disk 64M --build-time 60s
make_tenant_of "$tenant" e2e-small
mine() { cloister --tenant "$tenant" "$@"; }

expect_refused "an unknown plan" 'plan' cloister tenant create "$unique-x" --plan no-such-plan
expect_refused "a name that is no DNS label" 'field name' mine app create Not_A_Label
expect_refused "a plan without all limits" '^cloister: --cpu is required' cloister plan create "$unique-p" --memory 1G
expect_refused "a tenant's name twice" 'name_taken|conflict' cloister tenant create "$tenant" --plan e2e-small
expect_refused "an app that is not there" not_found mine app show absent
expect_refused "a token that is wrong" unauthenticated "$bin/cloister" --server "$server" --token clst_wrong app ls
expect_refused "a tenant's resource without a tenant" tenant cloister app ls

# Over plain HTTP, what the command would not send
token=$(cat "$state/cloisterd/admin-token")
raw() { # METHOD PATH CURL-ARGUMENT...: "STATUS CODE FIELD"
  local method=$1 path=$2
  shift 2
  curl -sS --max-time 60 -X "$method" -H "Authorization: Bearer $token" -o "$scratch/answer" -w '%{http_code}' "$@" "$server$path" 2>/dev/null
  jq -r '" \(.code // "-") \(.field // "-")"' "$scratch/answer" 2>/dev/null || echo " - -"
}
expect_match "malformed JSON" '^400 malformed_json' "$(raw POST "/v1/apps?tenant=$tenant" -H 'Content-Type: application/json' -d '{"name":')"
expect_match "an unknown field" '^4.. unknown_field colour' "$(raw POST "/v1/apps?tenant=$tenant" -H 'Content-Type: application/json' -d '{"name":"a","colour":"red"}')"
expect_match "no body" '^4.. ' "$(raw POST "/v1/apps?tenant=$tenant" -H 'Content-Type: application/json')"
expect_match "a method that is not there" '^405 method_not_allowed' "$(raw DELETE /v1/plans)"
for path in '/v1/apps/%ff' "/v1/apps/%ff?tenant=$tenant" "/v1/apps/x/logs?tenant=$tenant&process=%ff" "/v1/apps/x/exec?tenant=$tenant&argv=%ff"; do
  expect_match "$path" '^400 malformed_url' "$(raw GET "$path")"
  expect_match "$path, to be changed" '^4.. ' "$(raw DELETE "$path")"
done
expect "the audit trail can be read after them" mine audit
expect_match "no token" '^401 ' "$(curl -sS -o /dev/null -w '%{http_code} ' "$server/v1/apps")"

# Sources
upload() { raw POST "/v1/apps/bad/deployments?tenant=$tenant&create=true" -H 'Content-Type: application/gzip' "$@"; }
archive_of() { # PERL: pairs of entries, as ustar headers made by hand, since tar itself would not
  perl -e '
    sub entry { my ($name, $type, $link, $body) = @_;
      my $h = pack "a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a8 a8 a155 x12", $name, "0000644", "0000000", "0000000",
        sprintf("%011o", length $body), "00000000000", "        ", $type, $link, "ustar", "00", "root", "root", "0000001", "0000003", "";
      substr($h, 148, 8) = sprintf "%06o\0 ", unpack "%32C*", $h;
      return $h . $body . ("\0" x (-length($body) % 512)); }
    print entry("Procfile", 0, "", "web: true\n"), entry(@ARGV[0, 1, 2], $ARGV[3] // ""), "\0" x 1024' -- "$@" | gzip
}
while IFS='|' read -r name entry type link; do
  archive_of "$entry" "$type" "$link" x >"$scratch/bad.tar.gz"
  expect_match "an archive with $name" '^422 archive_invalid' "$(upload --data-binary "@$scratch/bad.tar.gz")"
done <<'CASES'
a step up|../escape|0|
a step up inside|a/../../escape|0|
an absolute path|/etc/cron.d/x|0|
a device|null|3|
a FIFO|pipe|6|
a link out of the tree|link|2|../../etc/passwd
an absolute link|link|2|/etc/passwd
a hard link out of the tree|link|1|../secret
CASES
expect_match "what is no archive" '^422 archive_invalid' "$(upload --data-binary 'not a gzip')"
expect_match "another media type" '^415 unsupported_media_type' "$(raw POST "/v1/apps/bad/deployments?tenant=$tenant&create=true" -H 'Content-Type: text/plain' -d x)"
truncate -s 10G "$scratch/huge"
expect_match "an upload of 10 GB" '^413 too_large' "$(upload -T "$scratch/huge")"
rm -f "$scratch/huge"

source_with() { # FILE TEXT: a fresh source directory
  rm -rf "$scratch/source"
  mkdir "$scratch/source"
  printf '%s\n' "$2" >"$scratch/source/$1"
}
source_with README "no manifest"
expect_refused "a source without a manifest" 'manifest_invalid|archive_invalid' mine deploy "$scratch/source" --app bad
source_with cloister.toml 'base = '
expect_refused "a manifest that is no TOML" 'line 1.*manifest_invalid' mine deploy "$scratch/source" --app bad
source_with cloister.toml '[processes]
web = "true"
[limits]
memory = "lots"'
expect_refused "a manifest with a bad limit" '\[limits\] memory: .*manifest_invalid' mine deploy "$scratch/source" --app bad
source_with Procfile $'web: echo caf\xe9'
expect_refused "a Procfile that is no UTF-8" 'Procfile: line 1 is not UTF-8.*manifest_invalid' mine deploy "$scratch/source" --app bad
expect_equal "none of this made an app" 0 "$(json_of '.items | length' --tenant "$tenant" app ls)"

# Builds that fail alone, and say why
build_with() { source_with cloister.toml "[build]
commands = ['$1']
[processes]
web = \"true\""; }
# shellcheck disable=SC2016  # for the build's shell
{
  build_with 'echo before; exit 3'
  expect_refused "a build command that fails" '3' mine deploy "$scratch/source" --app failing
  expect_match "its output is shown" 'before' "$(mine deploy "$scratch/source" --app failing 2>&1)"
  expect_equal "a failed build makes no release" 0 "$(json_of '.release' --tenant "$tenant" app show failing)"
  build_with "echo $(printf 'x%.0s' {1..186})$(printf '\303\251%.0s' {1..9}); exit 1"
  expect_refused "a long command that fails, its text cut within a letter" 'exited with 1' timeout 60 "$bin/cloister" --server "$server" --token "$token" --tenant "$tenant" deploy "$scratch/source" --app letters
  build_with 'f() { f | f & }; f; sleep 20; exit 1'
  expect_refused "a build that forks without end" '.' timeout 100 "$bin/cloister" --server "$server" --token "$token" --tenant "$tenant" deploy "$scratch/source" --app forks
  build_with 'head -c 1G /dev/zero >/app/fill'
  expect_refused "a build that fills its disk" 'disk|space' mine deploy "$scratch/source" --app fills
  build_with 'perl -e "\$x = q(a) x (1 << 30); sleep 5"'
  expect_refused "a build that takes all memory" 'memory|137|signal 9' mine deploy "$scratch/source" --app eats
}
expect "the API answers after all this" http_good "$server/readyz"

# Quota
expect "deploy the test app" deploy_test_app "$tenant" good
before=$(json_of '[.items[] | select(.desired == "run")] | length' --tenant "$tenant" ps good)
expect_refused "more instances than the plan" 'quota_exceeded' mine scale web=50 --app good
expect_equal "a refused scale changes nothing" "$before" "$(json_of '[.items[] | select(.desired == "run")] | length' --tenant "$tenant" ps good)"
expect_refused "a rollback to no release" 'version|not_found' mine rollback v99 --app good
expect_refused "a variable that Cloister sets" 'PORT' mine config set PORT=1 --app good
expect_refused "a host name that is none" 'host' mine domain add 'not a host' --app good
finish
