// What a container learns of its host from the kernel: its own limits, and nothing else.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "sandbox/base/process.h"
#include "tests/integration/launcher/harness.h"
#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

using launcher::Confinement;

// Words that only the host can have told: its name, where it keeps its state, its groups, how it was booted.
std::vector<std::string> secretsOf(const std::string& directory, const std::string& cgroupRoot) {
  std::vector<std::string> secrets = {directory, cgroupRoot};
  std::string host(256, '\0');
  if (::gethostname(host.data(), host.size()) == 0) secrets.emplace_back(host.c_str());
  std::string identity = readWhole("/proc/sys/kernel/random/boot_id");
  secrets.push_back(identity.substr(0, identity.find('\n')));
  std::istringstream parameters(readWhole("/proc/cmdline"));
  for (std::string word; parameters >> word;) {
    if (word.size() > 8) secrets.push_back(word);
  }
  return secrets;
}

class KernelViewTest : public LauncherTest {
 protected:
  [[nodiscard]] launcher::LaunchRequest look(const std::string& instance, const std::string& command,
                                             Confinement confinement) {
    auto wanted = request(instance, command);
    wanted.confinement = confinement;
    wanted.limits.memoryBytes = 64U << 20U;
    wanted.limits.cpuMillis = 700;
    return wanted;
  }
};

// grep reads whatever is a file and may be read, /proc/<pid> of init and of itself included.
constexpr const char* kSearch =
    "busybox find /proc /sys -type f ! -name mem ! -name pagemap ! -name clear_refs ! -name 'smaps*' "
    "-exec busybox grep -awFH -f /secrets {} + 2>/dev/null; echo searched";

TEST_F(KernelViewTest, NoFileOfProcOrSysTellsOfTheHost) {
  std::ofstream list(path("secrets"));
  for (const auto& secret : secretsOf(directory_, cgroupRoot_)) list << secret << "\n";
  list.close();
  const std::string layer = makeLayer("secrets", "cp " + path("secrets") + " $ROOT/secrets");
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    auto wanted = look(confinement == Confinement::app ? "app" : "build", kSearch, confinement);
    wanted.layers.insert(wanted.layers.begin(), layer);
    EXPECT_EQ(run(wanted).output, "searched\n");
  }
}

TEST_F(KernelViewTest, MemoryAndProcessorsAreTheLimits) {
  const std::string command =
      "busybox awk '/MemTotal/ {print $2}' /proc/meminfo; busybox grep -c ^processor /proc/cpuinfo;"
      "busybox grep -c ^cpu[0-9] /proc/stat; cat /sys/devices/system/cpu/online /sys/devices/system/cpu/possible;"
      "busybox nproc; cat /proc/loadavg; busybox free | busybox awk '/Mem:/ {print $2}'; busybox uptime";
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const auto outcome = run(look(confinement == Confinement::app ? "app" : "build", command, confinement));
    std::istringstream lines(outcome.output);
    std::string line;
    for (const char* expected : {"65536", "1", "1", "0", "0", "1", "0.00 0.00 0.00 1/1 1", "65536"}) {
      ASSERT_TRUE(std::getline(lines, line)) << outcome.output;
      EXPECT_EQ(line, expected) << outcome.output;
    }
    // sysinfo(2) again: uptime since the launch, no load.
    ASSERT_TRUE(std::getline(lines, line)) << outcome.output;
    EXPECT_NE(line.find("up 0 min"), std::string::npos) << line;
    EXPECT_NE(line.find("load average: 0.00, 0.00, 0.00"), std::string::npos) << line;
  }
}

// A program that pins itself to its first processor has one, of two as of one; what the container lacks cannot be had.
TEST_F(KernelViewTest, PinningCountsInTheContainersOwnNumbers) {
  const std::string command =
      "busybox taskset 1 busybox nproc; busybox taskset 8000000 true 2>&1 | busybox grep -c 'Invalid argument';"
      "busybox nproc";
  EXPECT_EQ(run(look("pinned", command, Confinement::app)).output, "1\n1\n1\n");
}

std::vector<double> numbersIn(const std::string& text) {
  std::vector<double> numbers;
  std::istringstream words(text);
  for (double number = 0; words >> number;) numbers.push_back(number);
  return numbers;
}

constexpr const char* kClocks =
    "busybox awk '{print $1}' /proc/uptime; busybox awk '/btime/ {print $2}' /proc/stat; busybox date +%s;";

TEST_F(KernelViewTest, ClocksAgreeWheneverTheyAreRead) {
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const std::string command =
        std::string(kClocks) + "sleep 1.3;" + kClocks + "busybox awk '{print $22}' /proc/self/stat; true";
    const auto outcome = run(look(confinement == Confinement::app ? "app" : "build", command, confinement));
    const auto seen = numbersIn(outcome.output);
    ASSERT_EQ(seen.size(), 7U) << outcome.output;
    EXPECT_GT(seen[3] - seen[0], 1.25) << "uptime goes on: " << outcome.output;
    EXPECT_LT(seen[3] - seen[0], seen[5] - seen[2] + patient(1)) << outcome.output;
    for (const std::size_t i : {0U, 3U}) EXPECT_NEAR(seen[i] + seen[i + 1], seen[i + 2], patient(2)) << outcome.output;
    EXPECT_NEAR(seen[6] / 100, seen[3], patient(1)) << "a process that begins now: " << outcome.output;
  }
}

TEST_F(KernelViewTest, MemoryInUseIsTold) {
  const std::string free =
      "busybox awk '/MemFree|MemAvailable/ {print $2}' /proc/meminfo; "
      "busybox free | busybox awk '/Mem:/ {print $4}';";
  const auto outcome =
      run(look("used", free + "dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null;" + free, Confinement::app));
  const auto seen = numbersIn(outcome.output);
  ASSERT_EQ(seen.size(), 6U) << outcome.output;
  for (const double kilobytes : seen) EXPECT_LT(kilobytes, 65536) << outcome.output;
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(seen[i] - seen[i + 3], 24 << 10U, 4096) << outcome.output;
}

TEST_F(KernelViewTest, TimeOfProcessorsIsTold) {
  const auto outcome = run(look("busy",
                                "i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done;"
                                "busybox awk '/^cpu / {print $2 + $4; print $5}' /proc/stat; cat /proc/loadavg",
                                Confinement::app));
  const auto seen = numbersIn(outcome.output);
  ASSERT_GE(seen.size(), 2U) << outcome.output;
  EXPECT_GT(seen[0], 2) << outcome.output;
}

// One file that is held open does not keep the others, or itself, from telling the present; and when it is closed, init
// sleeps again, with its leases.
TEST_F(KernelViewTest, AReaderThatStaysIsServedAndOneThatLeavesCostsNothing) {
  const auto outcome = run(look("held",
                                "sleep 2 </proc/uptime & busybox awk '{print $1}' /proc/uptime; sleep 1.5;"
                                "busybox awk '{print $1}' /proc/uptime; wait; sleep 1.5; grep -c LEASE /proc/locks",
                                Confinement::app));
  const auto seen = numbersIn(outcome.output);
  ASSERT_EQ(seen.size(), 3U) << outcome.output;
  EXPECT_GT(seen[1] - seen[0], 0.4) << outcome.output;  // written anew each second
  EXPECT_LT(seen[1] - seen[0], patient(3)) << outcome.output;
  EXPECT_EQ(seen[2], 5) << outcome.output;
}

TEST_F(KernelViewTest, AnyPortCanBeListenedOnAndTheDiskIsTheLimit) {
  const auto outcome = run(look("ports",
                                "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; busybox df -k / | "
                                "busybox awk 'NR == 2 {print $2}'",
                                Confinement::app));
  EXPECT_EQ(outcome.output, "0\n4096\n");
}

TEST_F(KernelViewTest, ExecSeesTheSame) {
  auto container = launch(look("host", "sleep 30", Confinement::app));
  ASSERT_TRUE(container) << container.error().message();
  const auto outcome = exec("host", {"/bin/sh", "-c",
                                     "busybox nproc; busybox awk '{print $1}' /proc/uptime;"
                                     "busybox free | busybox awk '/Mem:/ {print $2}'; sleep 0.2"});
  const auto seen = numbersIn(outcome.output);
  ASSERT_EQ(seen.size(), 3U) << outcome.output;
  EXPECT_EQ(seen[0], 1);
  EXPECT_GT(seen[1], 0);
  EXPECT_EQ(seen[2], 65536);
  EXPECT_TRUE(client_->remove("host"));
}

// What vmstat, swapon and exporters of metrics read: a container has no disk, no swap, and page faults of its own.
TEST_F(KernelViewTest, CountersOfTheHostAreTheContainersOwn) {
  const std::string command =
      "cd /proc; cat diskstats swaps; busybox awk '{print $1, $2, ($3 > 0)}' sys/fs/file-nr;"
      "busybox awk '/^(pswpin|pswpout|oom_kill) / {print}' vmstat; busybox awk '/^pgfault / {print $2}' vmstat;"
      "i=0; while [ $i -lt 30 ]; do busybox true; i=$((i + 1)); done; busybox awk '/^pgfault / {print $2}' vmstat;"
      "busybox awk '/^nr_free_pages / {print $2 * 4; exit}' vmstat; busybox awk '/^MemFree/ {print $2}' meminfo";
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const auto outcome = run(look(confinement == Confinement::app ? "app" : "build", command, confinement));
    constexpr std::string_view kSteady =
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n0 0 1\npswpin 0\npswpout 0\noom_kill 0\n";
    ASSERT_TRUE(outcome.output.starts_with(kSteady)) << outcome.output;
    const auto seen = numbersIn(outcome.output.substr(kSteady.size()));
    ASSERT_EQ(seen.size(), 4U) << outcome.output;
    EXPECT_GT(seen[0], 0) << outcome.output;
    EXPECT_LT(seen[0], 100'000) << "the host's: " << outcome.output;
    EXPECT_GT(seen[1], seen[0] + 100) << outcome.output;
    EXPECT_NEAR(seen[2], seen[3], 4096) << outcome.output;
  }
}

// As hwloc, lscpu and psutil count cores.
TEST_F(KernelViewTest, ProcessorsAreCoresOfOnePackage) {
  if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "needs two processors";
  auto wanted =
      look("cores",
           "cd /sys/devices/system/cpu; ls; ls cpu1; cd cpu1/topology; for f in *; do echo $f $(cat $f); done;"
           "(echo x >core_id) 2>/dev/null || echo refused",
           Confinement::app);
  wanted.limits.cpuMillis = 1'700;
  EXPECT_EQ(run(wanted).output,
            "cpu0\ncpu1\nonline\npossible\npresent\ntopology\ncore_id 1\ncore_siblings 3\ncore_siblings_list 0-1\n"
            "physical_package_id 0\nthread_siblings 2\nthread_siblings_list 1\nrefused\n");
}

// A file is not even opened by an ordinary user, so that nothing takes emptiness for an answer. A directory has nothing
// in it, which is the truth: programs that look for an entry hear that it is absent, and go on in silence.
TEST_F(KernelViewTest, CoversAreClosedFilesAndEmptyDirectories) {
  const auto outcome = run(look("covers",
                                "cd /proc; cat cmdline zoneinfo 2>&1; ls -A bus irq; cat pressure/cpu "
                                "bus/pci/devices 2>&1; (echo x >bus/x) 2>/dev/null || echo refused;"
                                "busybox stat -c %a cmdline bus",
                                Confinement::app));
  EXPECT_EQ(outcome.output,
            "cat: can't open 'cmdline': Permission denied\ncat: can't open 'zoneinfo': Permission denied\n"
            "bus:\n\nirq:\ncat: can't open 'pressure/cpu': No such file or directory\n"
            "cat: can't open 'bus/pci/devices': No such file or directory\nrefused\n0\n555\n");
}

// An allow-list: what is at the top of /proc and not known to be harmless reads as nothing, or has nothing in it.
TEST_F(KernelViewTest, UnknownEntriesOfProcAreEmpty) {
  const std::string command =
      "cd /proc; for entry in *; do case $entry in [0-9]*|self|thread-self|net|mounts|sys|sysvipc|filesystems|locks|"
      "cpuinfo|diskstats|loadavg|meminfo|stat|swaps|uptime|version|vmstat) ;; *) if [ -d $entry ]; then ls $entry; "
      "else cat $entry; fi "
      "2>/dev/null;; esac; done; echo done";  // where AppArmor is, some may not even be opened
  EXPECT_EQ(run(look("entries", command, Confinement::build)).output, "done\n");
}

// A write must be refused, not swallowed: an attack that only looks at the result would count it as done.
TEST_F(KernelViewTest, SettingsAndCoversCannotBeWritten) {
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const auto outcome = run(look(confinement == Confinement::app ? "app" : "build",
                                  "for file in sys/kernel/hostname sys/kernel/core_pattern sys/fs/file-nr meminfo kmsg "
                                  "cmdline; do echo x > /proc/$file; done; cat /proc/sys/kernel/core_pattern",
                                  confinement));
    for (const char* file :
         {"sys/kernel/hostname", "sys/kernel/core_pattern", "sys/fs/file-nr", "meminfo", "kmsg", "cmdline"}) {
      EXPECT_NE(outcome.output.find(std::string("/proc/") + file + ": "), std::string::npos) << outcome.output;
    }
    EXPECT_TRUE(outcome.output.ends_with("\ncore\n")) << outcome.output;
  }
}

TEST_F(KernelViewTest, EveryContainerHasItsOwnCookieForCores) {
  if (auto own = process::coreCookie(0); !own)
    GTEST_SKIP() << "needs core scheduling and SMT: " << own.error().message();
  auto first = launch(look("first", "sleep 30", Confinement::app));
  auto second = launch(look("second", "sleep 30", Confinement::app));
  ASSERT_TRUE(first && second);
  const auto one = process::coreCookie(static_cast<pid_t>(first->launched.pid));
  const auto two = process::coreCookie(static_cast<pid_t>(second->launched.pid));
  ASSERT_TRUE(one && two);
  EXPECT_NE(*one, 0U);
  EXPECT_NE(*one, *two);
  EXPECT_TRUE(client_->remove("first"));
  EXPECT_TRUE(client_->remove("second"));
}

}  // namespace
}  // namespace cloister::test
