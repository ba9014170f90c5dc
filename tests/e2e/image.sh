#!/bin/bash
# What a program finds around it: Debian's own files, one home for build and app, what the build gave it to write, the present
# in /proc, and a release that is immutable when it says so.
# shellcheck disable=SC2016  # what stands in single quotes is for the shell of a container
set -uo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_plan e2e
make_tenant_of "$unique" e2e
as() { cloister --tenant "$unique" "$@"; }
# A command line in the app's own container, by `exec`.
inside() { as exec shop --no-tty -- sh -c "$1" </dev/null 2>&1; }
disk_event() { as events -o json 2>/dev/null | grep -q '"instance.disk_full"'; }

cp -r "$root/tests/e2e/app" "$scratch/shop"
cat >>"$scratch/shop/cloister.toml" <<'EOF'

[build]
commands = [
  "mkdir -p ~/.cache/tool && echo browser >~/.cache/tool/bin",
  "mkdir -p /root/.local && echo literal >/root/.local/bin",
  "test -d /usr/share/man/man1 && test -d /usr/share/doc && test -d /usr/share/locale && locale -a | grep -qx C.utf8",
  "/usr/sbin/policy-rc.d || test $? = 101",
  "echo left >/tmp/left; echo left >/var/lib/apt/lists/left; echo left >/var/cache/apt/pkgcache.bin",
  "mkdir /code && chown app /code && echo old >/etc/mine.conf && chown app /etc/mine.conf",
  "mkdir /var/lib/mine && chmod 777 /var/lib/mine",
  "install -d -o www-data -m 700 /var/lib/service && install -o www-data -m 600 /dev/null /var/lib/service/data && mkdir /run/service",
  "mkdir -p /lib/systemd/system /usr/lib/tmpfiles.d && echo d /run/by-tmpfiles 0750 root root - >/usr/lib/tmpfiles.d/mine.conf",
  "printf '[Service]\\nRuntimeDirectory=by-unit/one two\\nLogsDirectory=by-%i\\n' >/lib/systemd/system/mine.service",
  "groupadd --system keys && install -m 640 -g keys /dev/null /etc/service.key && test $(stat -c %U /var/lib/service) = www-data",
  "install -m 640 -g www-data /dev/null /etc/service.conf && install -m 640 -g shadow /dev/null /etc/service.shadow",
  "cp /usr/bin/grep /usr/local/bin/capable && perl setcap /usr/local/bin/capable && chown app /usr/local/bin",
]
EOF
# setcap cap_net_bind_service+ep FILE
cat >"$scratch/shop/setcap" <<'EOF'
my ($file, $name, $value) = ($ARGV[0], "security.capability", pack("V5", 0x2000001, 1 << 10, 0, 0, 0));
syscall(188, $file, $name, $value, length $value, 0) == 0 or die "setxattr: $!\n";
EOF
expect "deploy" deploy_test_app "$unique" shop "$scratch/shop"
expect_equal "what the build left below ~ is there" browser "$(inside 'cat ~/.cache/tool/bin')"
expect_equal "and below /root, where it named that" literal "$(inside 'cat /root/.local/bin')"
expect_equal "the app may write at home" more "$(inside 'mkdir -p ~/.cache/more && echo more')"
expect_equal "home is what passwd says" /home/app "$(inside 'getent passwd app | cut -d: -f6')"
expect_equal "lists, caches and temporary files of the build are not kept" 3 \
  "$(inside 'ls /tmp/left /var/lib/apt/lists/left /var/cache/apt/pkgcache.bin 2>&1 | grep -c "No such file"')"
expect_equal "the app writes what the build gave it, wherever it lies" "1 1 1" \
  "$(inside 'for f in /code/x /etc/mine.conf /var/lib/mine/x; do echo 1 >$f && cat $f; done | tr "\n" " " | sed "s/ $//"')"
expect_equal "and what packages set up for users of their own" "1 1 1 1 1" \
  "$(inside 'for f in /var/lib/service/data /run/service/x /run/x.pid /var/log/x /var/cache/x; do echo 1 >$f && cat $f; done | tr "\n" " " | sed "s/ $//"')"
expect_equal "what tmpfiles.d and units would make for them is there" "1 1 1" \
  "$(inside 'for f in /run/by-tmpfiles/x /run/by-unit/one/x /run/two/x; do echo 1 >$f && cat $f; done | tr "\n" " " | sed "s/ $//"')"
expect_equal "it reads what only their groups may" "app app" \
  "$(inside 'cat /etc/service.key /etc/service.conf && stat -c %G /etc/service.key /etc/service.conf | tr "\n" " " | sed "s/ $//"')"
expect_match "a program that setcap marked runs, and has no capability by it" '^CapPrm:.0{16}$' \
  "$(inside 'capable CapPrm /proc/self/status')"
expect_match "nor by its attribute, which a copy of the file keeps" '^CapPrm:.0{16}$' \
  "$(inside 'mv /usr/local/bin/capable /usr/local/bin/moved && moved CapPrm /proc/self/status')"
expect_match "but not what a group of no user's may" 'Permission denied' "$(inside 'cat /etc/service.shadow')"
expect_match "and nothing that is root's" 'Permission denied|cannot create' "$(inside 'echo x >/etc/hosts')"
expect_equal "a server may listen on [::]" listens \
  "$(inside "perl -MIO::Socket::IP -e 'print IO::Socket::IP->new(LocalAddr => q(::), LocalPort => 8099, Listen => 1) ? q(listens) : \$@'")"
expect_equal "texts are UTF-8" UTF-8 "$(inside 'locale charmap')"
expect_equal "no library comes before a program's own" absent "$(inside 'test -e /etc/ld.so.preload || echo absent')"
expect_equal "Tokyo has its own time" JST "$(inside 'TZ=Asia/Tokyo date +%Z')"
expect_equal "a quarter of a core is one processor" "1 1 1" \
  "$(inside 'printf "%s %s %s" "$(nproc)" "$(getconf _NPROCESSORS_ONLN)" "$(grep -c ^processor /proc/cpuinfo)"')"
clocks='open my $u, "/proc/uptime"; my ($up) = split / /, <$u>; open my $s, "/proc/stat"; my ($b) = map { /^btime (\d+)/ } <$s>;
  open my $p, "/proc/self/stat"; my @p = split / /, <$p>; printf "%d %d %d", $up, abs(time - $up - $b) <= 2, abs($b + $p[21] / 100 - time) <= 2'
read -r uptime boots begins < <(inside "perl -e '$clocks'")
expect_within "the container has been up, in seconds" "$uptime" 1 600
expect_equal "boot time and uptime make the present" 1 "$boots"
expect_equal "a process that begins now began now" 1 "$begins"
expect_within "df shows the limit of 16 MiB, in KiB" "$(inside 'df -k / | tail -n 1' | awk '{print $2}')" 15000 16384
expect_match "the disk ends there" 'No space left' "$(inside 'dd if=/dev/zero of=/tmp/fill bs=64k 2>&1')"
wait_for 20 "a full disk is an event" disk_event || true
expect_match "a full disk is an event" 'its disk of 16 MiB is full' "$(as events -o json 2>&1)"

sed -i '1i immutable = true\nwritable = ["/code"]' "$scratch/shop/cloister.toml"
expect "deploy it immutable" deploy_test_app "$unique" shop "$scratch/shop"
if [ "$(json_of '.checks[] | select(.name == "landlock") | .state' posture)" = enforced ]; then
  expect_equal "it writes what it lists, and to /tmp and /run" "1 1" \
    "$(inside 'for f in /code/x /tmp/x; do echo 1 >$f && cat $f; done | tr "\n" " " | sed "s/ $//"')"
  expect_equal "and nowhere else" "Permission denied 4" \
    "Permission denied $(inside 'for f in /app/x ~/x /etc/mine.conf /var/lib/mine/x; do (echo 1 >$f) 2>&1; done' | grep -c 'Permission denied')"
else
  skip_test "an immutable app" "needs Landlock"
fi
sed -i '/^immutable/d' "$scratch/shop/cloister.toml"
expect_refused "exceptions need the rule" 'writable.*immutable' as deploy "$scratch/shop" --app shop
finish
