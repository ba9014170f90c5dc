// Capabilities, Landlock rules, kernel views and AppArmor profiles of the classes; Landlock also applied.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "policy/model/capabilities.h"
#include "policy/model/kernel_views.h"
#include "policy/model/landlock.h"
#include "sandbox/base/files.h"
#include "sandbox/base/landlock.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

constexpr std::array kClasses = {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze};

TEST(Capabilities, anAppAndAnExecHaveNone) {
  EXPECT_TRUE(capabilitiesOf(Confinement::app).empty());
  EXPECT_TRUE(capabilitiesOf(Confinement::exec).empty());
}

TEST(Capabilities, noClassHoldsOneThatReachesBeyondItsFiles) {
  const std::set<unsigned> never = {CAP_SYS_ADMIN,    CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT,
                                    CAP_SYS_TIME,     CAP_NET_ADMIN,  CAP_NET_RAW,    CAP_MKNOD,     CAP_SETPCAP,
                                    CAP_SYS_RESOURCE, CAP_BPF,        CAP_PERFMON,    CAP_MAC_ADMIN, CAP_SYSLOG};
  for (const auto confinement : kClasses) {
    for (const unsigned capability : capabilitiesOf(confinement))
      EXPECT_FALSE(never.contains(capability)) << capability;
  }
  const auto freeze = capabilitiesOf(Confinement::freeze);
  ASSERT_EQ(freeze.size(), 1U);
  EXPECT_EQ(freeze[0], static_cast<unsigned>(CAP_DAC_READ_SEARCH));
}

TEST(Landlock, masksFollowTheAbi) {
  using namespace landlock_access;
  EXPECT_EQ(landlockHandled(1) & (kRefer | kTruncate | kDeviceIoctl), 0U);
  EXPECT_EQ(landlockHandled(2) & (kRefer | kTruncate | kDeviceIoctl), kRefer);
  EXPECT_EQ(landlockHandled(4) & (kRefer | kTruncate | kDeviceIoctl), kRefer | kTruncate);
  EXPECT_EQ(landlockHandled(7) & (kRefer | kTruncate | kDeviceIoctl), kRefer | kTruncate | kDeviceIoctl);
}

TEST(Landlock, noClassMakesDevicesAndNoRuleExceedsWhatIsHandled) {
  using namespace landlock_access;
  for (const auto confinement : kClasses) {
    for (int abi = 1; abi <= 7; ++abi) {
      const auto rules = landlockRules(confinement, abi);
      EXPECT_EQ(rules.handled, landlockHandled(abi));
      for (const auto& rule : rules.paths) {
        EXPECT_EQ(rule.access & ~rules.handled, 0U);
        EXPECT_EQ(rule.access & (kMakeCharacter | kMakeBlock), 0U) << rule.path;
        EXPECT_NE(rule.access, 0U) << rule.path << ": the kernel refuses an empty rule, abi " << abi;
      }
    }
  }
}

// The right to write files at "/", so anywhere.
bool writesAnywhere(const LandlockRules& rules) {
  return std::any_of(rules.paths.begin(), rules.paths.end(), [](const auto& rule) {
    return rule.path == "/" && (rule.access & landlock_access::kWriteFile) != 0;
  });
}

TEST(Landlock, modesDecideUnlessWritesAreListed) {
  for (const auto confinement : kClasses) {
    EXPECT_EQ(writesAnywhere(landlockRules(confinement, 7)), confinement != Confinement::freeze);
  }
  const std::vector<std::string> writable = {"/app/uploads"};
  for (const auto confinement : {Confinement::app, Confinement::exec}) {
    const auto rules = landlockRules(confinement, 7, launcher::Writes::listed, writable);
    EXPECT_FALSE(writesAnywhere(rules));
    std::set<std::string_view> writes;
    for (const auto& rule : rules.paths) {
      if ((rule.access & landlock_access::kMakeRegular) != 0) writes.insert(rule.path);
      EXPECT_EQ(rule.missing == Missing::fail, rule.path == "/app/uploads") << rule.path;
    }
    EXPECT_EQ(writes, (std::set<std::string_view>{"/app/uploads", "/dev", "/dev/mqueue", "/run", "/tmp", "/var/tmp"}));
  }
}

// Applies rules shaped like an app's to a small tree, in a child.
TEST(Landlock, holdsInTheKernel) {
  if (landlock::abi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  std::string pattern = (std::filesystem::temp_directory_path() / "cloister-landlock-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  std::filesystem::create_directories(pattern + "/app");
  std::filesystem::create_directories(pattern + "/usr");
  const pid_t child = ::fork();
  if (child == 0) {
    const std::vector<std::string> writable = {"/app"};
    const auto rules = landlockRules(Confinement::app, landlock::abi(), launcher::Writes::listed, writable);
    auto ruleset = landlock::createRuleset(rules.handled);
    if (!ruleset) ::_exit(1);
    for (const auto& rule : rules.paths) {
      const std::string path = rule.path == "/app" ? pattern + "/app" : std::string(rule.path);
      if (rule.path != "/" && rule.path != "/app") continue;
      auto where = files::openAt(AT_FDCWD, path, O_PATH);
      if (!where || !landlock::addPathBeneath(ruleset->get(), where->get(), rule.access)) ::_exit(2);
    }
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!landlock::restrictSelf(ruleset->get())) ::_exit(3);
    if (!files::replace(pattern + "/app/own", "x")) ::_exit(4);
    if (!files::read("/etc/passwd")) ::_exit(5);
    auto denied = files::replace(pattern + "/usr/other", "x");
    if (denied || denied.error().code != EACCES) ::_exit(6);
    if (::mknod((pattern + "/app/device").c_str(), S_IFCHR | 0600, 0x103) == 0) ::_exit(7);
    if (::mkfifo((pattern + "/app/fifo").c_str(), 0600) != 0) ::_exit(8);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  std::filesystem::remove_all(pattern);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

template <typename Views>
void expectSound(const Views& views, std::set<std::string_view>& seen) {
  for (const auto& view : views) {
    const std::string_view path = view.path;
    EXPECT_FALSE(path.starts_with('/')) << path << " is not below /proc";
    EXPECT_EQ(path.find(".."), std::string_view::npos) << path;
    EXPECT_FALSE(path.ends_with('/')) << path;
    EXPECT_FALSE(std::string_view(view.reason).empty()) << path;
    EXPECT_TRUE(seen.insert(path).second) << path << " is named twice";
  }
}

TEST(KernelViews, areSoundAndKeepNothingOfTheWorst) {
  std::set<std::string_view> seen;
  expectSound(kKeptEntries, seen);
  for (const auto* path : {"diskstats", "meminfo", "stat", "swaps", "vmstat"})
    EXPECT_FALSE(seen.contains(path)) << path;
  expectSound(kOwnEntries, seen);
  expectSound(kCoveredSettings, seen);
  for (const auto* path :
       {"kcore", "keys", "kallsyms", "timer_list", "sched_debug", "sysrq-trigger", "cmdline", "cgroups", "pressure"}) {
    EXPECT_FALSE(seen.contains(path)) << path;
  }
}

}  // namespace
}  // namespace cloister::policy
