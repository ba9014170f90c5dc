// The filters of Cloister's own processes: what they refuse is called in a process under them, and what containers need
// passes the launcher's.
#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <linux/keyctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "policy/model/capabilities.h"
#include "policy/model/seccomp.h"
#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {
namespace {

// A call that without the filter fails otherwise than with EPERM, even for root, and harms nothing.
struct Attempt {
  const char* name;
  long number;
  std::array<long, 5> arguments{};
};

constexpr std::array kHostPowers = {
    Attempt{"ptrace", SYS_ptrace, {-1}},
    Attempt{"process_vm_readv", SYS_process_vm_readv, {-1}},
    Attempt{"process_vm_writev", SYS_process_vm_writev, {-1}},
    Attempt{"pidfd_getfd", SYS_pidfd_getfd, {-1, -1}},
    Attempt{"bpf", SYS_bpf, {-1}},
    Attempt{"perf_event_open", SYS_perf_event_open, {0, -1, -1, -1, -1}},
    Attempt{"userfaultfd", SYS_userfaultfd, {-1}},
    Attempt{"io_uring_setup", SYS_io_uring_setup, {0}},
    Attempt{"add_key", SYS_add_key, {0}},
    Attempt{"request_key", SYS_request_key, {0}},
    Attempt{"keyctl", SYS_keyctl, {KEYCTL_READ, -1}},
    Attempt{"name_to_handle_at", SYS_name_to_handle_at, {-1, 0, 0, 0, -1}},
    Attempt{"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}},
    Attempt{"init_module", SYS_init_module, {0, 0, 0}},
    Attempt{"finit_module", SYS_finit_module, {-1, 0, 0}},
    Attempt{"delete_module", SYS_delete_module, {0, 0}},
    Attempt{"kexec_load", SYS_kexec_load, {0, -1, 0, -1}},
    Attempt{"kexec_file_load", SYS_kexec_file_load, {-1, -1, 0, 0, -1}},
    Attempt{"reboot", SYS_reboot, {0, 0, 0}},
    Attempt{"swapon", SYS_swapon, {0, -1}},
    Attempt{"swapoff", SYS_swapoff, {0}},
    Attempt{"settimeofday", SYS_settimeofday, {-1}},
    Attempt{"clock_settime", SYS_clock_settime, {-1, -1}},
    Attempt{"iopl", SYS_iopl, {9}},
    Attempt{"ioperm", SYS_ioperm, {-1, -1, 1}},
};

constexpr std::array kProcessesAndMounts = {
    Attempt{"execve", SYS_execve, {0}},
    Attempt{"execveat", SYS_execveat, {-1, 0, 0, 0, -1}},
    Attempt{"clone", SYS_clone, {CLONE_FS | CLONE_NEWNS}},
    Attempt{"kill", SYS_kill, {0x7fffffff, 0}},
    Attempt{"mount", SYS_mount, {0}},
    Attempt{"umount2", SYS_umount2, {0}},
    Attempt{"pivot_root", SYS_pivot_root, {0}},
    Attempt{"chroot", SYS_chroot, {0}},
    Attempt{"unshare", SYS_unshare, {1}},
    Attempt{"setns", SYS_setns, {-1, 0}},
    Attempt{"fsopen", SYS_fsopen, {0}},
    Attempt{"open_tree", SYS_open_tree, {-1, 0, 0}},
    Attempt{"move_mount", SYS_move_mount, {-1, 0, -1, 0, -1}},
    Attempt{"setuid", SYS_setuid, {-1}},
    Attempt{"setgid", SYS_setgid, {-1}},
    Attempt{"setresuid", SYS_setresuid, {-1, -1, -1}},
    Attempt{"setgroups", SYS_setgroups, {0, 0}},
    Attempt{"capset", SYS_capset, {0}},
    Attempt{"mknod", SYS_mknod, {0}},
    Attempt{"raw socket", SYS_socket, {AF_INET, SOCK_RAW, -1}},
};

int answer(const Attempt& attempt) {
  const auto& a = attempt.arguments;
  return errnoOf(attempt.number, a[0], a[1], a[2], a[3], a[4]);
}

std::vector<sock_filter> filterOf(OwnProcess process) {
  auto filter = compile(profileFor(process));
  if (!filter) {
    ADD_FAILURE() << filter.error().message();
    return {};
  }
  return std::move(*filter);
}

void expectRefused(OwnProcess process, std::span<const Attempt> attempts) {
  const auto filter = filterOf(process);
  for (const auto& attempt : attempts) {
    const auto ending = runFiltered(filter, [&] { return answer(attempt); });
    ASSERT_TRUE(ending.set) << attempt.name;
    EXPECT_EQ(ending.signal, 0) << attempt.name;
    EXPECT_EQ(ending.code, EPERM) << attempt.name;
  }
}

// Otherwise the tests above would hold without a filter.
TEST(OwnProcess, onlyTheFilterSaysNotPermitted) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: others are refused by the kernel itself";
  for (const auto& attempt : kHostPowers) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(answer(attempt));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == EPERM) << attempt.name;
  }
}

TEST(OwnProcess, launcherHasNoPowerOverTheHostsKernel) {
  expectRefused(OwnProcess::launcher, kHostPowers);
}

TEST(OwnProcess, nodeHasNoneEitherAndStartsNothing) {
  expectRefused(OwnProcess::node, kHostPowers);
  expectRefused(OwnProcess::node, kProcessesAndMounts);
}

TEST(OwnProcess, daemonHasNoneEitherAndStartsNothing) {
  expectRefused(OwnProcess::daemon, kHostPowers);
  expectRefused(OwnProcess::daemon, kProcessesAndMounts);
  const auto filter = filterOf(OwnProcess::daemon);
  EXPECT_EQ(runFiltered(filter, [] { return errnoOf(SYS_mknodat, -1, 0, S_IFIFO, 0); }).code, EPERM);
}

TEST(OwnProcess, nodeMakesPipesAndNoDevices) {
  const auto filter = filterOf(OwnProcess::node);
  EXPECT_EQ(runFiltered(filter, [] { return errnoOf(SYS_mknodat, -1, 0, S_IFIFO, 0); }).code, EFAULT);
  EXPECT_EQ(runFiltered(filter, [] { return errnoOf(SYS_mknodat, -1, 0, S_IFCHR, 0); }).code, EPERM);
}

TEST(OwnProcess, threadsStillStart) {
  for (const auto process : {OwnProcess::launcher, OwnProcess::node, OwnProcess::daemon}) {
    const auto ending = runFiltered(filterOf(process), [] {
      int answered = 0;
      std::thread([&answered] { answered = 7; }).join();
      return answered;
    });
    EXPECT_EQ(ending.code, 7);
  }
}

TEST(OwnProcess, launcherIssuesOnlyTheIoctlsOfLoopDevicesAndOfItsClasses) {
  const auto filter = filterOf(OwnProcess::launcher);
  EXPECT_EQ(runFiltered(filter, [] { return errnoOf(SYS_ioctl, -1, 0x4c82, 0); }).code, EBADF);
  EXPECT_NE(runFiltered(filter, [] { return errnoOf(SYS_ioctl, -1, TIOCSTI, 0); }).code, EBADF);
  EXPECT_EQ(runFiltered(filter, [] { return errnoOf(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0); }).code, 0);
}

// Of two filters the stricter answer counts: what the launcher's lacks, no container has.
TEST(OwnProcess, launcherLetsThroughWhatAnyClassAllows) {
  const auto& own = profileFor(OwnProcess::launcher).rules;
  using launcher::Confinement;
  for (const auto confinement : {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze}) {
    for (const auto& rule : profileFor(confinement).rules) {
      if (rule.denyErrno != 0) continue;
      EXPECT_TRUE(std::any_of(own.begin(), own.end(), [&](const auto& other) {
        return other.denyErrno == 0 && other.call == rule.call &&
               (other.tests.empty() || std::ranges::equal(other.tests, rule.tests));
      })) << rule.call;
      EXPECT_TRUE(std::none_of(
          own.begin(), own.end(),
          [&](const auto& other) { return other.denyErrno != 0 && other.call == rule.call && !other.tests.empty(); }))
          << rule.call << ": a denial with tests comes before what is allowed";
    }
  }
}

// systemd's and runit's bounding set and the launcher's own lists are one.
TEST(OwnProcess, theLaunchersUnitNamesTheCapabilitiesThatItKeeps) {
  std::ifstream unit(CLOISTER_SOURCE_DIR "/deploy/systemd/cloister-launcher.service");
  std::string named;
  for (std::string line; std::getline(unit, line);) {
    if (line.starts_with("CapabilityBoundingSet=")) named = line.substr(line.find('=') + 1);
  }
  std::string kept;
  std::vector<Capability> all(kLauncherCapabilities.begin(), kLauncherCapabilities.end());
  all.insert(all.end(), kLauncherStartCapabilities.begin(), kLauncherStartCapabilities.end());
  for (const auto& capability : all) {
    EXPECT_FALSE(capability.reason.empty()) << capability.name;
    std::string name(capability.name);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    kept += (kept.empty() ? "CAP_" : " CAP_") + name;
  }
  EXPECT_EQ(named, kept);
}

}  // namespace
}  // namespace cloister::policy
