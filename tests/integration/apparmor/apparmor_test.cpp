// What AppArmor alone denies: acts of root with every capability, no filter and no Landlock, without and with a
// container's profile, which the launcher's own loader has loaded.
#include "sandbox/launcher/apparmor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
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
#include <optional>
#include <string>

#include "policy/model/apparmor.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kParser = "/sbin/apparmor_parser";
constexpr std::array kClasses = {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze};

int millisecondsSince(Clock::time_point begin) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count());
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
    auto begin = Clock::now();
    for (const auto confinement : kClasses) {
      const std::string file = directory_ + "/" + policy::appArmorProfileName(confinement);
      std::ofstream(file + ".text") << policy::appArmorProfile(confinement);
      const std::string command = std::string(kParser) + " -QTq -o " + file + " " + file + ".text";
      EXPECT_EQ(std::system(command.c_str()), 0) << command;
    }
    std::printf("measured: apparmor_parser compiled %zu profiles in %d ms\n", kClasses.size(),
                millisecondsSince(begin));
    begin = Clock::now();
    loaded = loadAppArmorProfiles(directory_);
    std::printf("measured: the kernel took %zu compiled profiles in %d ms\n", kClasses.size(),
                millisecondsSince(begin));
  }
  ~Profiles() { std::filesystem::remove_all(directory_); }
  Profiles(const Profiles&) = delete;
  Profiles& operator=(const Profiles&) = delete;

  Status loaded = Error{"apparmor", "compile", "", EIO};

 private:
  std::string directory_;
};

class AppArmorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "AppArmorTest needs root: it changes profiles";
    if (!appArmorEnabled()) GTEST_SKIP() << "needs a kernel with AppArmor";
    if (::access(kParser, X_OK) != 0) GTEST_SKIP() << "needs apparmor_parser (apparmor)";
    static const Profiles profiles;
    ASSERT_TRUE(profiles.loaded) << profiles.loaded.error().message();
    sibling_ = ::fork();
    if (sibling_ == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  void TearDown() override {
    if (sibling_ <= 0) return;
    ::kill(sibling_, SIGKILL);
    ::waitpid(sibling_, nullptr, 0);
  }

  // The errno of `act` in a process of its own, under `profile` by change-on-exec or under none.
  [[nodiscard]] int outcomeOf(const std::string& act, const std::optional<std::string>& profile) const {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        ::_exit(251);
      if (profile) {
        auto attribute = files::openAt(AT_FDCWD, "/proc/thread-self/attr/apparmor/exec", O_WRONLY);
        if (!attribute || !files::writeAll(attribute->get(), "exec " + *profile)) ::_exit(252);
      }
      ::execl(APPARMOR_ACT, "apparmor_act", act.c_str(), std::to_string(sibling_).c_str(), nullptr);
      ::_exit(253);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 254;
  }

  pid_t sibling_ = -1;
};

TEST_F(AppArmorTest, EveryClassHasAProfileThatAProgramCanRunUnder) {
  for (const auto confinement : kClasses) {
    EXPECT_EQ(outcomeOf("none", policy::appArmorProfileName(confinement)), 0)
        << policy::appArmorProfileName(confinement);
  }
}

struct Act {
  const char* name;
  int denial;
};

class AppArmorDenial : public AppArmorTest, public testing::WithParamInterface<Act> {};

TEST_P(AppArmorDenial, IsAppArmorsAlone) {
  EXPECT_EQ(outcomeOf(GetParam().name, {}), 0) << "root may do it, so nothing else denies it";
  for (const auto confinement : kClasses) {
    EXPECT_EQ(outcomeOf(GetParam().name, policy::appArmorProfileName(confinement)), GetParam().denial)
        << policy::appArmorProfileName(confinement);
  }
}

INSTANTIATE_TEST_SUITE_P(Acts, AppArmorDenial,
                         testing::Values(Act{"mount", EACCES}, Act{"umount", EACCES}, Act{"ptrace", EACCES},
                                         Act{"signal", EACCES}, Act{"core_pattern", EACCES}, Act{"sysrq", EACCES},
                                         Act{"kallsyms", EACCES}, Act{"sysfs", EACCES}, Act{"raw", EACCES},
                                         Act{"packet", EACCES}, Act{"unconfine", EACCES}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_F(AppArmorTest, CapabilitiesAreThoseOfTheClass) {
  EXPECT_EQ(outcomeOf("setuid", {}), 0);
  EXPECT_EQ(outcomeOf("setuid", policy::appArmorProfileName(Confinement::app)), EPERM);
  EXPECT_EQ(outcomeOf("setuid", policy::appArmorProfileName(Confinement::build)), 0);
}

// For what no honest program does, so that an attempt is seen.
TEST_F(AppArmorTest, TheKernelsLogNamesProfileAndOperation) {
  const std::string profile = policy::appArmorProfileName(Confinement::app);
  KernelLog log;
  ASSERT_EQ(outcomeOf("mount", profile), EACCES);
  EXPECT_NE(log.denial(profile, "mount"), "");
  ASSERT_EQ(outcomeOf("core_pattern", profile), EACCES);
  EXPECT_NE(log.denial(profile, "open"), "");
}

}  // namespace
}  // namespace cloister::launcher
