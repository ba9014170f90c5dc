// What a benchmark of the launcher needs on the host: a scratch directory, a busybox root, a cloister-launcher with a
// cgroup root of its own; all in a network and a mount namespace that end with the benchmark.
//
// Threads: not shared, but for the client. Failures: std::runtime_error naming the step; the destructor removes all
// that was made.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/client/launcher_client.h"

namespace cloister::bench {

inline constexpr TenantIndex kTenant = 1;

// What stands in for parts of the launcher, to watch it; empty: the part itself.
struct Witnesses {
  std::string preload{};  // a library
  std::string init{};     // a cloister-init
};

class Host {
 public:
  // `binaries`: the directory of cloister-launcher and of the floors. `user` may talk to the launcher, besides root.
  // `programs` of that directory, static ones, are in the root's /bin too.
  explicit Host(std::string binaries, uid_t user = 0, const std::vector<std::string>& programs = {});
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // Starts the launcher, with one tenant and the busybox root as a layer.
  void startLauncher(Witnesses witnesses = {});
  // kill -9, and another with the same state.
  void replaceLauncher();
  void putTenant(TenantIndex tenant);
  [[nodiscard]] sandbox::LauncherClient& client() { return *client_; }
  [[nodiscard]] pid_t launcher() const { return launcher_; }
  [[nodiscard]] const std::string& layer() const { return digest_; }
  [[nodiscard]] std::string program(const std::string& name) const { return binaries_ + "/" + name; }
  [[nodiscard]] std::string rootfs() const { return directory_ + "/rootfs"; }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
  [[nodiscard]] const std::string& cgroupRoot() const { return cgroupRoot_; }

  // For the contestants that bring no launcher: the layer mounted at path("layer"), a user namespace that maps its ids
  // (a file in /proc), and a group "<cgroupRoot>-<name>" in every hierarchy.
  void mountLayer();
  [[nodiscard]] std::string holdUserNamespace();
  [[nodiscard]] std::string makeGroup(const std::string& name);

 private:
  void makeRootfs(const std::vector<std::string>& programs) const;
  void spawnLauncher();
  [[nodiscard]] std::vector<std::string> launcherCommand(const std::vector<std::string>& options) const;
  std::string binaries_;
  std::string user_;
  std::string directory_;
  std::string cgroupRoot_;
  std::string digest_;
  Witnesses witnesses_;
  pid_t launcher_ = -1;
  pid_t holder_ = -1;
  std::vector<std::string> groups_;
  std::unique_ptr<sandbox::LauncherClient> client_;
};

// A request for busybox with `argv`; small limits, no address.
[[nodiscard]] launcher::LaunchRequest busybox(const Host& host, const std::string& instance,
                                              std::vector<std::string> argv);

}  // namespace cloister::bench
