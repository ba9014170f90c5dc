// What AppArmor alone denies: acts of root with every capability, no filter and no Landlock, without and with a
// tenant's profile, which the launcher's own loader has made and loaded.
#include "sandbox/launcher/apparmor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/apparmor.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "policy/model/apparmor.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/launcher/denials.h"

namespace cloister::launcher {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kParser = "/sbin/apparmor_parser";
constexpr TenantIndex kTenant = 29'123;
constexpr TenantIndex kNeighbour = 29'132;

std::string nameOf(Confinement confinement, TenantIndex tenant = kTenant) {
  return policy::appArmorProfileName(confinement, tenant);
}

double milliseconds(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Without a limit on its messages: a denial must not be lost because others were just before it.
class KernelLog {
 public:
  KernelLog() : log_(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    EXPECT_EQ(::lseek(log_.get(), 0, SEEK_END), 0);
    std::ifstream(kLimit) >> limit_;
    std::ofstream(kLimit) << 0;
  }
  ~KernelLog() { std::ofstream(kLimit) << limit_; }
  KernelLog(const KernelLog&) = delete;
  KernelLog& operator=(const KernelLog&) = delete;

  // The first new record of a denial under `profile` of `operation`, or nothing.
  std::string denial(const std::string& profile, const std::string& operation) {
    std::array<char, 8192> record{};
    for (;;) {
      const ssize_t got = ::read(log_.get(), record.data(), record.size());
      if (got < 0 && errno == EPIPE) continue;  // records were overwritten before we read them
      if (got <= 0) return {};
      const std::string text(record.data(), static_cast<std::size_t>(got));
      if (text.find("apparmor=\"DENIED\"") != std::string::npos &&
          text.find("profile=\"" + profile + "\"") != std::string::npos &&
          text.find("operation=\"" + operation + "\"") != std::string::npos) {
        return text;
      }
    }
  }

 private:
  static constexpr const char* kLimit = "/proc/sys/kernel/printk_ratelimit";
  UniqueFd log_;
  std::string limit_;
};

// Compiled and loaded once a run: the parser takes seconds where the machine is emulated.
class Profiles {
 public:
  Profiles() {
    std::string pattern = "/tmp/cloister-apparmor-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return;
    directory_ = pattern;
    const std::string file = directory_ + "/profiles";
    std::ofstream(file + ".text") << policy::appArmorProfiles();
    const auto begun = Clock::now();
    const std::string command = std::string(kParser) + " -QTq -o " + file + " " + file + ".text";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    parserRun = Clock::now() - begun;
    auto opened = AppArmor::open(file);
    if (!opened) {
      loaded = opened.error();
      return;
    }
    kernel = std::move(*opened);
    loaded = kernel->ensure(kTenant);
    if (loaded) loaded = kernel->ensure(kNeighbour);
  }
  ~Profiles() {
    if (kernel) {
      EXPECT_TRUE(kernel->remove(kTenant));
      EXPECT_TRUE(kernel->remove(kNeighbour));
    }
    std::filesystem::remove_all(directory_);
  }
  Profiles(const Profiles&) = delete;
  Profiles& operator=(const Profiles&) = delete;

  std::unique_ptr<AppArmor> kernel;
  Status loaded = Error{"apparmor", "compile", "", EIO};
  Clock::duration parserRun{};

 private:
  std::string directory_;
};

Profiles& profiles() {
  static Profiles once;
  return once;
}

class AppArmorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "AppArmorTest needs root: it changes profiles";
    if (::aa_is_enabled() != 1) GTEST_SKIP() << "needs a kernel with AppArmor";
    if (::access(kParser, X_OK) != 0) GTEST_SKIP() << "needs apparmor_parser (apparmor)";
    ASSERT_TRUE(profiles().loaded) << profiles().loaded.error().message();
    sibling_ = begin("pause", {});
  }
  void TearDown() override {
    if (sibling_ > 0) end(sibling_);
  }

  static void end(pid_t child) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }

  // `act` in a process of its own, under `profile` by change-on-exec or under none.
  [[nodiscard]] static pid_t begin(const std::string& act, const std::optional<std::string>& profile, pid_t other = 0) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        ::_exit(251);
      if (profile) {
        auto attribute = files::openAt(AT_FDCWD, "/proc/thread-self/attr/apparmor/exec", O_WRONLY);
        if (!attribute || !files::writeAll(attribute->get(), "exec " + *profile)) ::_exit(252);
      }
      ::execl(APPARMOR_ACT, "apparmor_act", act.c_str(), std::to_string(other).c_str(), nullptr);
      ::_exit(253);
    }
    return child;
  }
  // Its errno.
  [[nodiscard]] int outcomeOf(const std::string& act, const std::optional<std::string>& profile,
                              pid_t other = 0) const {
    const pid_t child = begin(act, profile, other != 0 ? other : sibling_);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
  }
  // Under its profile already, not on the way to it.
  static void awaitProfile(pid_t child, const std::string& profile) {
    std::string current;
    for (int patience = 0; patience < 500 && current != profile + " (enforce)"; ++patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      std::ifstream attribute("/proc/" + std::to_string(child) + "/attr/apparmor/current");
      std::getline(attribute, current);
    }
    ASSERT_EQ(current, profile + " (enforce)");
  }
  [[nodiscard]] static bool loaded(TenantIndex tenant) {
    std::ifstream list("/sys/kernel/security/apparmor/profiles");
    for (std::string line; std::getline(list, line);) {
      if (policy::tenantOfProfile(line.substr(0, line.find(' '))) == tenant) return true;
    }
    return false;
  }

  pid_t sibling_ = -1;
};

TEST_F(AppArmorTest, EveryClassHasAProfileThatAProgramCanRunUnder) {
  for (const auto confinement : policy::kAppArmorClasses) {
    EXPECT_EQ(outcomeOf("none", nameOf(confinement)), 0) << nameOf(confinement);
  }
}

class AppArmorDenial : public AppArmorTest, public testing::WithParamInterface<const char*> {};

// EPERM where the profile takes the capability before its rule for the act is asked, as for mount and umount.
TEST_P(AppArmorDenial, IsAppArmorsAlone) {
  EXPECT_EQ(outcomeOf(GetParam(), {}), 0) << "root may do it, so nothing else denies it";
  for (const auto confinement : policy::kAppArmorClasses) {
    const int outcome = outcomeOf(GetParam(), nameOf(confinement));
    EXPECT_TRUE(outcome == EACCES || outcome == EPERM) << nameOf(confinement) << ": " << outcome;
  }
}

INSTANTIATE_TEST_SUITE_P(Acts, AppArmorDenial,
                         testing::Values("mount", "umount", "ptrace", "signal", "core_pattern", "sysrq", "kallsyms",
                                         "sysfs", "raw", "packet", "unconfine"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_F(AppArmorTest, CapabilitiesAreThoseOfTheClass) {
  EXPECT_EQ(outcomeOf("setuid", {}), 0);
  EXPECT_EQ(outcomeOf("setuid", nameOf(Confinement::app)), EPERM);
  EXPECT_EQ(outcomeOf("setuid", nameOf(Confinement::build)), 0);
}

// For what no honest program does, so that an attempt is seen.
TEST_F(AppArmorTest, TheKernelsLogNamesProfileAndOperation) {
  const std::string profile = nameOf(Confinement::app);
  KernelLog log;
  ASSERT_EQ(outcomeOf("core_pattern", profile), EACCES);
  EXPECT_NE(log.denial(profile, "open"), "");
}

TEST_F(AppArmorTest, PeersAreTheSameTenantsAlone) {
  for (const auto theirs : policy::kAppArmorClasses) {
    const pid_t peer = begin("pause", nameOf(theirs));
    awaitProfile(peer, nameOf(theirs));
    for (const auto ours : policy::kAppArmorClasses) {
      EXPECT_EQ(outcomeOf("signal", nameOf(ours), peer), 0) << nameOf(ours) << " to " << nameOf(theirs);
      EXPECT_EQ(outcomeOf("signal", nameOf(ours, kNeighbour), peer), EACCES)
          << nameOf(ours, kNeighbour) << " to " << nameOf(theirs);
    }
    EXPECT_EQ(outcomeOf("signal", {}, peer), 0) << "the launcher stops and kills";
    end(peer);
  }
}

TEST_F(AppArmorTest, ANewTenantCostsNoParserAndLeavesNothing) {
  constexpr TenantIndex kFirst = 29'200;
  constexpr int kTenants = 50;
  AppArmor& kernel = *profiles().kernel;
  const auto begun = Clock::now();
  for (TenantIndex tenant = kFirst; tenant < kFirst + kTenants; ++tenant) {
    const Status done = kernel.ensure(tenant);
    ASSERT_TRUE(done) << done.error().message();
  }
  const auto each = (Clock::now() - begun) / kTenants;
  std::printf("measured: a tenant's four profiles in the kernel %.2f ms; apparmor_parser's run %.0f ms\n",
              milliseconds(each), milliseconds(profiles().parserRun));
  EXPECT_LT(each * 5, profiles().parserRun);
  EXPECT_TRUE(loaded(kFirst));
  EXPECT_TRUE(loaded(kFirst + kTenants - 1));
  for (TenantIndex tenant = kFirst; tenant < kFirst + kTenants; ++tenant) {
    const Status done = kernel.remove(tenant);
    ASSERT_TRUE(done) << done.error().message();
  }
  EXPECT_FALSE(loaded(kFirst));
  EXPECT_TRUE(kernel.remove(kFirst)) << "gone already is good";
  EXPECT_TRUE(loaded(kTenant)) << "the others stay";
  ASSERT_TRUE(kernel.ensure(kFirst));
  EXPECT_TRUE(loaded(kFirst)) << "a tenant may come back";
  EXPECT_TRUE(kernel.remove(kFirst));
}

TEST_F(AppArmorTest, DenialsAreReadWithTheirTenant) {
  const KernelLog unlimited;
  auto denials = Denials::open();
  ASSERT_TRUE(denials) << denials.error().message();
  std::uint64_t seen = 0;
  for (auto old = denials->after(seen); !old.denials.empty(); old = denials->after(seen)) {
    seen = old.denials.back().sequence;
  }
  ASSERT_EQ(outcomeOf("core_pattern", nameOf(Confinement::app)), EACCES);
  ASSERT_EQ(outcomeOf("unconfine", nameOf(Confinement::build, kNeighbour)), EACCES);
  const auto fresh = denials->after(seen).denials;
  ASSERT_EQ(fresh.size(), 2U);
  EXPECT_EQ(fresh[0].tenant, kTenant);
  EXPECT_EQ(fresh[0].operation, "open");
  EXPECT_EQ(fresh[0].target, "/proc/sys/kernel/core_pattern");
  EXPECT_EQ(fresh[0].program, "apparmor_act");
  EXPECT_EQ(fresh[1].tenant, kNeighbour);
  EXPECT_EQ(fresh[1].operation, "change_profile");
  EXPECT_TRUE(denials->after(fresh[1].sequence).denials.empty());
}

// The profiles of Cloister's own processes, with the acting program in the installed one's place.
class OwnProfile : public AppArmorTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    AppArmorTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const std::string program = GetParam();
    const auto text = files::read(std::string(CLOISTER_SOURCE_DIR) + "/policy/profiles/apparmor/" + program);
    ASSERT_TRUE(text) << text.error().message();
    std::string here = *text;
    const std::string installed = "/usr/local/bin/" + program;
    const std::string head = "profile " + program + " " + installed + " ";
    ASSERT_NE(here.find(head), std::string::npos);
    here.replace(here.find(head), head.size(), "profile " + name() + " ");
    ASSERT_NE(here.find(installed + " mr,"), std::string::npos);
    here.replace(here.find(installed), installed.size(), APPARMOR_ACT);
    std::ofstream(file()) << here;
    ASSERT_EQ(std::system((std::string(kParser) + " -rTq " + file()).c_str()), 0);
  }
  void TearDown() override {
    if (!IsSkipped()) {
      EXPECT_EQ(std::system((std::string(kParser) + " -RTq " + file()).c_str()), 0);
      std::filesystem::remove(file());
    }
    AppArmorTest::TearDown();
  }
  [[nodiscard]] static std::string name() { return std::string(GetParam()) + "-test"; }
  [[nodiscard]] static std::string file() { return "/tmp/" + name() + ".profile"; }
};

TEST_P(OwnProfile, ReachesNothingOfTheHost) {
  EXPECT_EQ(outcomeOf("none", name()), 0);
  for (const auto* act : {"exec", "mount", "umount", "ptrace", "signal", "core_pattern", "sysrq", "kallsyms", "sysfs",
                          "shadow", "raw", "packet", "unconfine"}) {
    EXPECT_EQ(outcomeOf(act, {}), 0) << act << ": root may do it, so nothing else denies it";
    const int outcome = outcomeOf(act, name());
    EXPECT_TRUE(outcome == EACCES || outcome == EPERM) << act << ": " << outcome;
  }
  EXPECT_EQ(outcomeOf("setuid", name()), EPERM);
}

INSTANTIATE_TEST_SUITE_P(Processes, OwnProfile, testing::Values("cloister-node", "cloisterd"),
                         [](const auto& instance) { return instance.index == 0 ? "Node" : "Daemon"; });

}  // namespace
}  // namespace cloister::launcher
