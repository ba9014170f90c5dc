// A real cloister-launcher in a network namespace, a cgroup root and directories of its own, and tiny busybox images
// for it.
//
// Threads: one test at a time. Failures: gtest assertions; setUp() says by name what this machine lacks.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/client/launcher_client.h"

namespace cloister::test {

// How a container's command ended, as its status line says, and what it printed (stdout and stderr together).
struct Outcome {
  std::string status;
  std::string output;
};

class LauncherTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void startLauncher();
  // In a child: becomes a launcher of this test, with more options than the usual.
  [[noreturn]] void executeLauncher(std::vector<std::string> options) const;
  // What a launcher of this test says that ends with 1 instead of starting.
  [[nodiscard]] std::string refusalToStart(std::vector<std::string> options = {});
  void killLauncher(int signal);
  [[nodiscard]] int purge();
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }

  // An image from a shell script that fills the directory $ROOT (busybox and the usual directories are there); mounted.
  [[nodiscard]] std::string makeLayer(const std::string& name, const std::string& script);
  [[nodiscard]] launcher::LaunchRequest request(const std::string& instance, const std::string& shell) const;
  // Launches with its output in a file, waits for the end, removes.
  [[nodiscard]] Outcome run(const launcher::LaunchRequest& request);
  [[nodiscard]] Result<sandbox::Container> launch(const launcher::LaunchRequest& request);
  [[nodiscard]] Outcome finish(const std::string& instance, const sandbox::Container& container);
  [[nodiscard]] std::string output(const std::string& instance) const;
  // A command in a container that runs, to its end.
  [[nodiscard]] Outcome exec(const std::string& instance, std::vector<std::string> argv,
                             launcher::ExecRequest like = {});
  // Loop devices over this launcher's pool.
  [[nodiscard]] std::vector<std::string> poolDevices() const;
  // Cgroup directories of this test's root, in all hierarchies.
  [[nodiscard]] std::vector<std::string> groups() const;

  std::string directory_;
  std::string cgroupRoot_;
  std::string appArmor_;  // empty: the kernel has none
  std::string uppers_;    // --uppers; empty: what fits this kernel
  std::string base_;      // digest
  std::unique_ptr<sandbox::LauncherClient> client_;
  pid_t launcher_ = -1;
  UniqueFd netns_;  // of the launcher
  unsigned execs_ = 0;
};

// Runs a command line of the host (test set-up only) and returns its exit code.
int shell(const std::string& command);
std::string readWhole(const std::string& path);
// Waits for a pidfd; false after `seconds` times the patience.
bool waitFor(int pidfd, int seconds);

}  // namespace cloister::test
