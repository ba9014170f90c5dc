// Launcher: what the node asks of cloister-launcher, as a seam. SocketLauncher is the real one.
//
// Threads: any. Failures: as sandbox/client/launcher_client.h says.
#pragma once

#include <string>
#include <vector>

#include "sandbox/client/launcher_client.h"

namespace cloister::node {

class Launcher {
 public:
  virtual ~Launcher() = default;
  [[nodiscard]] virtual Result<sandbox::Container> launch(const launcher::LaunchRequest& request,
                                                          const sandbox::Standard& standard) = 0;
  [[nodiscard]] virtual Result<sandbox::ExecHandle> exec(const launcher::ExecRequest& request,
                                                         const sandbox::Standard& standard) = 0;
  [[nodiscard]] virtual Status endExec(const launcher::EndExecRequest& request) = 0;
  [[nodiscard]] virtual Status signal(const launcher::SignalRequest& request) = 0;
  [[nodiscard]] virtual Status remove(const std::string& container) = 0;
  // The directory of the tenant's own group in the unified hierarchy comes back.
  [[nodiscard]] virtual Result<UniqueFd> putTenant(const launcher::TenantPutRequest& request) = 0;
  [[nodiscard]] virtual Status removeTenant(TenantIndex tenant) = 0;
  [[nodiscard]] virtual Status mountLayer(const std::string& digest, int file) = 0;
  [[nodiscard]] virtual Status releaseLayer(const std::string& digest) = 0;
  [[nodiscard]] virtual Result<std::vector<sandbox::Container>> recover() = 0;
  [[nodiscard]] virtual Result<std::vector<launcher::NetworkUsage>> networkUsage() = 0;
  [[nodiscard]] virtual Result<std::vector<launcher::PostureCheck>> posture() = 0;
  [[nodiscard]] virtual Result<std::vector<launcher::Denial>> denials(std::uint64_t since) = 0;
};

class SocketLauncher final : public Launcher {
 public:
  explicit SocketLauncher(const std::string& socketPath) : client_(socketPath) {}

  Result<sandbox::Container> launch(const launcher::LaunchRequest& request,
                                    const sandbox::Standard& standard) override {
    return client_.launch(request, standard);
  }
  Result<sandbox::ExecHandle> exec(const launcher::ExecRequest& request, const sandbox::Standard& standard) override {
    return client_.exec(request, standard);
  }
  Status endExec(const launcher::EndExecRequest& request) override { return client_.endExec(request); }
  Status signal(const launcher::SignalRequest& request) override { return client_.signal(request); }
  Status remove(const std::string& container) override { return client_.remove(container); }
  Result<UniqueFd> putTenant(const launcher::TenantPutRequest& request) override {
    auto handle = client_.putTenant(request);
    if (!handle) return handle.error();
    for (auto& [kind, directory] : handle->descriptors) {
      if (kind == launcher::DescriptorKind::unified) return std::move(directory);
    }
    return UniqueFd();
  }
  Status removeTenant(TenantIndex tenant) override { return client_.removeTenant(tenant); }
  Status mountLayer(const std::string& digest, int file) override { return client_.mountLayer(digest, file); }
  Status releaseLayer(const std::string& digest) override { return client_.releaseLayer(digest); }
  Result<std::vector<sandbox::Container>> recover() override { return client_.recover(); }
  Result<std::vector<launcher::NetworkUsage>> networkUsage() override { return client_.networkUsage(); }
  Result<std::vector<launcher::PostureCheck>> posture() override { return client_.posture(); }
  Result<std::vector<launcher::Denial>> denials(std::uint64_t since) override { return client_.denials(since); }

 private:
  sandbox::LauncherClient client_;
};

}  // namespace cloister::node
