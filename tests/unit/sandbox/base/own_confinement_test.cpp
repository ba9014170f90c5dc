// Irreversible, so each act happens in a process of its own.
#include "sandbox/base/own_confinement.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace cloister::process {
namespace {

constexpr std::array kAllowAll = {sock_filter{BPF_RET | BPF_K, 0, 0, 0x7fff0000U}};

template <typename Function>
int inChild(const Function& function) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(function());
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

std::string lineOf(const std::string& status, const std::string& key) {
  const auto at = status.find("\n" + key + ":\t");
  if (at == std::string::npos) return "";
  const auto from = at + key.size() + 3;
  return status.substr(from, status.find('\n', from) - from);
}

TEST(OwnConfinement, leavesNothingThatItWasNotToldToKeep) {
  const int failed = inChild([] {
    if (!confineSelf({}, kAllowAll)) return 1;
    const auto status = files::read("/proc/thread-self/status", 1U << 16U);
    if (!status) return 2;
    for (const auto* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      if (lineOf(*status, set) != "0000000000000000") return 3;
    }
    if (lineOf(*status, "NoNewPrivs") != "1" || lineOf(*status, "Seccomp") != "2") return 4;
    return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 5;
  });
  EXPECT_EQ(failed, 0);
}

TEST(OwnConfinement, keepsWhatItWasToldInEverySetButTheInherited) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: nobody else holds a capability";
  const int failed = inChild([] {
    constexpr std::array<unsigned, 1> kKeep = {CAP_CHOWN};
    if (!confineSelf(kKeep, kAllowAll)) return 1;
    const auto status = files::read("/proc/thread-self/status", 1U << 16U);
    if (!status) return 2;
    for (const auto* set : {"CapPrm", "CapEff", "CapBnd"}) {
      if (lineOf(*status, set) != "0000000000000001") return 3;
    }
    return lineOf(*status, "CapInh") == "0000000000000000" ? 0 : 4;
  });
  EXPECT_EQ(failed, 0);
}

TEST(OwnConfinement, refusesAnEmptyFilter) {
  EXPECT_EQ(inChild([] {
              const Status done = confineSelf({}, {});
              return done ? 0 : done.error().code;
            }),
            ENOENT);
}

}  // namespace
}  // namespace cloister::process
