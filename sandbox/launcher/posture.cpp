#include "sandbox/launcher/posture.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include "policy/model/seccomp.h"
#include "sandbox/base/files.h"
#include "sandbox/base/landlock.h"
#include "sandbox/base/process.h"

namespace cloister::launcher {
namespace {

PostureCheck verdict(const std::string& name, bool there, std::string whenThere, std::string whenAbsent) {
  return {name, there ? CheckState::enforced : CheckState::absent,
          there ? std::move(whenThere) : std::move(whenAbsent)};
}

bool seccompActionKnown(std::uint32_t action) {
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

}  // namespace

Posture Posture::detect(const cgroups::Tree& groups, const rootfs::Uppers& uppers, const Status& appArmor) {
  Posture posture;
  auto& checks = posture.reply_.checks;
  utsname kernel{};
  ::uname(&kernel);
  checks.push_back({"kernel", CheckState::enforced, std::string("Linux ") + kernel.release});
  for (const auto& [name, kind] : {std::pair{"user-namespace", "user"},
                                   {"pid-namespace", "pid"},
                                   {"mount-namespace", "mnt"},
                                   {"network-namespace", "net"},
                                   {"ipc-namespace", "ipc"},
                                   {"uts-namespace", "uts"},
                                   {"cgroup-namespace", "cgroup"}}) {
    const bool there = ::access((std::string("/proc/self/ns/") + kind).c_str(), F_OK) == 0;
    checks.push_back(verdict(name, there, "one of its own for every container", "the kernel has none"));
  }
  checks.push_back(verdict("seccomp", seccompActionKnown(SECCOMP_RET_KILL_PROCESS),
                           std::to_string(policy::allowedCount(policy::profileFor(Confinement::app))) +
                               " system calls open to an app; foreign ABIs are killed",
                           "the kernel cannot kill a process from a filter"));
  const int abi = landlock::abi();
  checks.push_back(verdict("landlock", abi > 0, "ABI " + std::to_string(abi), "the kernel has no Landlock"));
  checks.push_back(verdict("apparmor", appArmor.ok(), "a profile for each tenant and class, entered by change-on-exec",
                           appArmor.ok() ? "" : appArmor.error().message()));
  checks.push_back(
      {"cgroups", CheckState::enforced,
       groups.layout() == cgroups::Layout::unified ? "version 2" : "version 1 controllers beside a version 2 tree"});
  for (const auto& ability : groups.abilities()) {
    checks.push_back(verdict("cgroup-" + ability.name, ability.there, ability.how, ability.how));
  }
  checks.push_back({"disk-limits", CheckState::enforced, uppers.reason()});
  const auto cookie = process::coreCookie(0);
  checks.push_back(verdict("core-scheduling", cookie.ok(),
                           "a cookie for every container: SMT siblings serve one at a time",
                           cookie.ok() || cookie.error().code == ENODEV
                               ? "this machine has no SMT: no two containers share a core at a time"
                               : "the kernel has no core scheduling: SMT siblings may serve two tenants"));
  const bool clocks = ::access("/proc/self/ns/time", F_OK) == 0;
  checks.push_back(verdict("time-namespace", clocks, "uptime begins with the container", "the kernel has none"));
  checks.push_back(
      {"kernel-views", CheckState::enforced,
       "memory, processors and uptime are the container's; of /proc an allow-list, of /sys the processors"});
  checks.push_back({"no-new-privs", CheckState::enforced, "set before every app, build and exec"});
  checks.push_back(
      {"capabilities", CheckState::enforced, "none for an app; a bounded set inside the namespace for a build"});
  return posture;
}

}  // namespace cloister::launcher
