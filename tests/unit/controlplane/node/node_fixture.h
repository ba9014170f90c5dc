// What tests of the node's parts share: a directory of their own, and a launcher that only remembers.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "controlplane/node/launcher.h"

namespace cloister::node {

class TemporaryDirectory : public testing::Test {
 protected:
  TemporaryDirectory() {
    std::string pattern = testing::TempDir() + "cloister-node-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() override { std::filesystem::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ + "/" + name) << text; }
  std::string root_;
};

// Answers what a test wants, and remembers what it was asked.
class FakeLauncher : public Launcher {
 public:
  Result<sandbox::Container> launch(const launcher::LaunchRequest&, const sandbox::Standard&) override {
    return Error{"fake", "launch", "", ENOSYS};
  }
  Result<sandbox::ExecHandle> exec(const launcher::ExecRequest&, const sandbox::Standard&) override {
    return Error{"fake", "exec", "", ENOSYS};
  }
  Status endExec(const launcher::EndExecRequest& request) override {
    ended.push_back(request);
    return {};
  }
  Status signal(const launcher::SignalRequest&) override { return {}; }
  Status remove(const std::string&) override { return {}; }
  Result<UniqueFd> putTenant(const launcher::TenantPutRequest& request) override {
    puts.push_back(request);
    return UniqueFd(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  Status removeTenant(TenantIndex) override { return {}; }
  // Keeps what it is given in `store`, as the real one does.
  Status mountLayer(const std::string& digest, int file) override {
    if (mountError != 0) return Error{"fake", "mount", digest, mountError};
    const auto kept = store + "/" + digest;
    if (file < 0 && !std::filesystem::exists(kept)) return Error{"fake", "find", digest, ENOENT};
    if (file >= 0 && !store.empty()) std::filesystem::copy_file("/proc/self/fd/" + std::to_string(file), kept);
    mounted.push_back(digest);
    return {};
  }
  Status releaseLayer(const std::string& digest) override {
    released.push_back(digest);
    if (releaseError != 0) return Error{"fake", "release", digest, releaseError};
    std::filesystem::remove(store + "/" + digest);
    return {};
  }
  Result<std::vector<sandbox::Container>> recover() override { return std::vector<sandbox::Container>(); }
  Result<std::vector<launcher::NetworkUsage>> networkUsage() override { return std::vector<launcher::NetworkUsage>(); }
  Result<std::vector<launcher::PostureCheck>> posture() override { return std::vector<launcher::PostureCheck>(); }
  Result<std::vector<launcher::Denial>> denials(std::uint64_t) override { return std::vector<launcher::Denial>(); }

  std::string store;
  std::vector<std::string> mounted;
  std::vector<std::string> released;
  std::vector<launcher::TenantPutRequest> puts;
  std::vector<launcher::EndExecRequest> ended;
  std::string group = "/nowhere";
  int mountError = 0;
  int releaseError = 0;
};

}  // namespace cloister::node
