// LauncherClient: typed requests to cloister-launcher.
//
// Threads: any; each request has a connection to itself until its reply has come, at most kMostConnections of them, and
// further callers wait. Connections are kept for the next request.
// Failures: the launcher's own Error as it came back, or stage "client" when the socket failed. A lost connection is
// opened again on the next call; a request whose reply was lost may have been carried out, which every verb but launch
// and exec makes harmless, and launch answers EEXIST for an instance that runs.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

using Descriptors = std::vector<std::pair<launcher::DescriptorKind, UniqueFd>>;

// With a terminal, `status` alone.
struct Standard {
  int in = -1;
  int out = -1;
  int err = -1;
  int status = -1;
  int output = -1;  // freeze only
};

struct Container {
  launcher::Launched launched;
  Descriptors descriptors;
  // The descriptor of that kind, or -1.
  [[nodiscard]] int descriptor(launcher::DescriptorKind kind) const;
  // Takes it out.
  [[nodiscard]] UniqueFd take(launcher::DescriptorKind kind);
};

struct TenantHandle {
  std::uint64_t cgroupInode = 0;
  Descriptors descriptors;
};

struct ExecHandle {
  std::uint32_t pid = 0;
  UniqueFd pidfd;
  UniqueFd terminal;  // the leader, if one was asked for
};

inline constexpr std::ptrdiff_t kMostConnections = 16;  // half of what the launcher accepts

class LauncherClient {
 public:
  explicit LauncherClient(std::string socketPath);
  ~LauncherClient();
  LauncherClient(const LauncherClient&) = delete;
  LauncherClient& operator=(const LauncherClient&) = delete;

  [[nodiscard]] Result<Container> launch(const launcher::LaunchRequest& request, const Standard& standard);
  [[nodiscard]] Result<ExecHandle> exec(const launcher::ExecRequest& request, const Standard& standard);
  [[nodiscard]] Status endExec(const launcher::EndExecRequest& request);
  [[nodiscard]] Status signal(const launcher::SignalRequest& request);
  [[nodiscard]] Status remove(const std::string& instance);
  [[nodiscard]] Result<TenantHandle> putTenant(const launcher::TenantPutRequest& request);
  [[nodiscard]] Status removeTenant(TenantIndex tenant);
  // `file` -1: one that the launcher has already; ENOENT when it has not.
  [[nodiscard]] Status mountLayer(const std::string& digest, int file);
  [[nodiscard]] Status releaseLayer(const std::string& digest);
  [[nodiscard]] Result<std::vector<Container>> recover();
  [[nodiscard]] Result<std::vector<launcher::NetworkUsage>> networkUsage();
  [[nodiscard]] Result<std::vector<launcher::PostureCheck>> posture();
  [[nodiscard]] Result<std::vector<launcher::Denial>> denials(std::uint64_t since);

 private:
  class Connections;
  std::unique_ptr<Connections> connections_;
};

}  // namespace cloister::sandbox
