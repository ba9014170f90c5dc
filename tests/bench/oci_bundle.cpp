#include "tests/bench/oci_bundle.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "policy/model/kernel_views.h"
#include "policy/model/seccomp.h"

namespace cloister::bench {
namespace {

constexpr const char* kMounts = R"({"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]})";
constexpr const char* kMoreMounts = R"(,
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]},
    {"destination": "/sys", "type": "tmpfs", "source": "sys", "options": ["nosuid", "noexec", "nodev", "ro", "size=4k"]})";
// Those of bench_host's busybox().
constexpr const char* kResources = R"("resources": {
      "memory": {"limit": 67108864, "swap": 67108864},
      "cpu": {"quota": 100000, "period": 100000},
      "pids": {"limit": 32}},)";
constexpr const char* kRlimits = R"(, "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 256},
      {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}])";

std::string jsonText(std::string_view text) {
  return '"' + std::string(text) + '"';
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",\n      ") + part;
  return '[' + text + ']';
}

// All that policy/model/kernel_views.h does not keep, as paths.
std::vector<std::string> maskedPaths() {
  std::vector<std::string> paths;
  const auto kept = [](std::string_view name) {
    return name.find_first_not_of("0123456789") == std::string_view::npos ||
           std::any_of(policy::kKeptEntries.begin(), policy::kKeptEntries.end(),
                       [name](const policy::KernelView& view) { return name == view.path; });
  };
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (const auto name = entry.path().filename().string(); !kept(name)) paths.push_back(jsonText("/proc/" + name));
  }
  for (const auto& view : policy::kCoveredSettings) paths.push_back(jsonText(std::string("/proc/") + view.path));
  return paths;
}

std::string argumentsOf(const policy::SyscallRule& rule) {
  std::vector<std::string> tests;
  for (const auto& test : rule.tests) {
    tests.push_back(R"({"index": )" + std::to_string(test.argument) + R"(, "value": )" + std::to_string(test.mask) +
                    R"(, "valueTwo": )" + std::to_string(test.value) + R"(, "op": "SCMP_CMP_MASKED_EQ"})");
  }
  return joined(tests);
}

// libseccomp knows no order among the rules of one call: of a call that is allowed in some way, only that is said.
std::string filter(const policy::SeccompProfile& profile) {
  std::vector<std::string> rules;
  std::vector<std::string_view> allowed;
  for (const auto& rule : profile.rules) {
    if (rule.denyErrno != 0) continue;
    allowed.push_back(rule.call);
    rules.push_back(R"({"action": "SCMP_ACT_ALLOW", "names": [)" + jsonText(rule.call) + R"(], "args": )" +
                    argumentsOf(rule) + '}');
  }
  for (const auto& rule : profile.rules) {
    const bool isDefault = rule.denyErrno == 0 || rule.denyErrno == ENOSYS;
    if (isDefault || std::find(allowed.begin(), allowed.end(), rule.call) != allowed.end()) continue;
    rules.push_back(R"({"action": "SCMP_ACT_ERRNO", "errnoRet": )" + std::to_string(rule.denyErrno) +
                    R"(, "names": [)" + jsonText(rule.call) + R"(], "args": )" + argumentsOf(rule) + '}');
  }
  return R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": )" + std::to_string(ENOSYS) +
         R"(, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": )" + joined(rules) + '}';
}

std::string confinement() {
  std::vector<std::string> readOnly;
  for (const auto& view : policy::kReadOnlyPaths) readOnly.push_back(jsonText(std::string("/proc/") + view.path));
  return std::string(kResources) + R"("maskedPaths": )" + joined(maskedPaths()) + R"(, "readonlyPaths": )" +
         joined(readOnly) + R"(, "seccomp": )" + filter(policy::profileFor(launcher::Confinement::app)) + ',';
}

}  // namespace

std::string ociConfig(Bundle bundle, const BundlePlaces& places) {
  const bool confined = bundle == Bundle::confined;
  return std::string(R"({
  "ociVersion": "1.0.2",
  "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "env": ["PATH=/bin"], "cwd": "/",
    "noNewPrivileges": true, "capabilities": {})") +
         (confined ? kRlimits : "") + R"(},
  "root": {"path": )" +
         jsonText(places.rootfs) + R"(, "readonly": true},
  "hostname": "bench",
  "mounts": [)" +
         kMounts + (confined ? kMoreMounts : "") + R"(],
  "linux": {"cgroupsPath": )" +
         jsonText(places.cgroupsPath) + ',' + (confined ? confinement() : "") + R"(
    "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
    "namespaces": [{"type": "user"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                   {"type": "mount"}, {"type": "cgroup"}]}
})";
}

}  // namespace cloister::bench
