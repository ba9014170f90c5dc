// What a container learns of its host from the kernel: its own limits, and nothing else.
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "sandbox/base/process.h"
#include "tests/integration/launcher/harness.h"

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
      "busybox head -n 1 /proc/meminfo; busybox grep -c ^processor /proc/cpuinfo; busybox grep -c ^cpu[0-9] /proc/stat;"
      "cat /proc/loadavg; busybox free | busybox grep Mem: | busybox awk '{print $2}'; busybox uptime";
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    const auto outcome = run(look(confinement == Confinement::app ? "app" : "build", command, confinement));
    std::istringstream lines(outcome.output);
    std::string line;
    for (const char* expected : {"MemTotal: 65536 kB", "1", "1", "0.00 0.00 0.00 1/1 1", "65536"}) {
      ASSERT_TRUE(std::getline(lines, line)) << outcome.output;
      EXPECT_EQ(line, expected) << outcome.output;
    }
    // sysinfo(2) again: uptime since the launch, no load.
    ASSERT_TRUE(std::getline(lines, line)) << outcome.output;
    EXPECT_NE(line.find("up 0 min"), std::string::npos) << line;
    EXPECT_NE(line.find("load average: 0.00, 0.00, 0.00"), std::string::npos) << line;
  }
}

TEST_F(KernelViewTest, ExecSeesTheSame) {
  auto container = launch(look("host", "sleep 30", Confinement::app));
  ASSERT_TRUE(container) << container.error().message();
  const auto outcome = exec("host", {"/bin/busybox", "free"});
  EXPECT_NE(outcome.output.find(" 65536 "), std::string::npos) << outcome.output;
  EXPECT_TRUE(client_->remove("host"));
}

// An allow-list: what is at the top of /proc and not known to be harmless reads as nothing, or has nothing in it.
TEST_F(KernelViewTest, UnknownEntriesOfProcAreEmpty) {
  const std::string command =
      "cd /proc; for entry in *; do case $entry in [0-9]*|self|thread-self|net|mounts|sys|sysvipc|filesystems|locks|"
      "cpuinfo|loadavg|meminfo|stat|uptime|version) ;; *) if [ -d $entry ]; then ls $entry; else cat $entry; fi "
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
