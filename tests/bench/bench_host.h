// What a launch benchmark needs on the host: a scratch directory, a busybox root, a cloister-launcher in a network
// namespace of its own with a cgroup root of its own, and commands that are run and timed.
//
// Threads: not shared. Failures: std::runtime_error naming the step; the destructor removes all that was made.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/client/launcher_client.h"

namespace cloister::bench {

class Host {
 public:
  explicit Host(std::string launcherProgram);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Starts the launcher, with one tenant and the busybox root as a layer.
  void startLauncher();
  [[nodiscard]] sandbox::LauncherClient& client() { return *client_; }
  [[nodiscard]] const std::string& layer() const { return digest_; }
  [[nodiscard]] std::string rootfs() const { return directory_ + "/rootfs"; }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
  [[nodiscard]] const std::string& cgroupRoot() const { return cgroupRoot_; }

 private:
  void makeRootfs() const;
  std::string launcherProgram_;
  std::string directory_;
  std::string cgroupRoot_;
  std::string digest_;
  pid_t launcher_ = -1;
  std::unique_ptr<sandbox::LauncherClient> client_;
};

// Exit code of the command, its output going to /dev/null; 127 when it cannot be started.
[[nodiscard]] int runCommand(const std::vector<std::string>& command);
// The program's path on PATH, or empty.
[[nodiscard]] std::string findProgram(const std::string& name);

inline constexpr TenantIndex kTenant = 1;

}  // namespace cloister::bench
