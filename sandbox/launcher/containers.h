// Containers: carries out the verbs that start, join, signal, remove and find containers.
//
// Nothing about a running container is only in this process's memory: the cgroup tree says what runs, and
//   <run>/containers/<instance>   "tenant address\n"
// says whose it is and which address to unpin. So a launcher that was killed goes on where it stopped: recover() lists
// what runs, remove() clears what a half-made launch left. Life cycle: launch -> (exec, signal)* -> remove. Threads:
// not shared. Failures: the child's ExecReport or our own Error; a failed launch leaves no process, group, link, mount
// or record. Preconditions: root; Layers::open() has made the mount namespace private.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <linux/filter.h>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/process.h"
#include "sandbox/cgroups/cgroups.h"
#include "sandbox/launcher/apparmor.h"
#include "sandbox/network/network.h"
#include "sandbox/rootfs/kernel_views.h"
#include "sandbox/rootfs/layers.h"
#include "sandbox/rootfs/uppers.h"

namespace cloister::launcher {

// A good reply's payload and the descriptors that go with it.
template <typename T>
struct Reply {
  T values;
  std::vector<UniqueFd> descriptors;
};

class Containers {
 public:
  struct Parts {
    cgroups::Tree* groups = nullptr;
    network::Network* network = nullptr;
    rootfs::Layers* layers = nullptr;
    rootfs::Uppers* uppers = nullptr;
    rootfs::KernelViews views;
    UniqueFd init;                 // cloister-init, sealed
    std::string records;           // <run>/containers
    AppArmor* appArmor = nullptr;  // null: the kernel has none
  };
  // Compiles the filter of each confinement class; without one nothing could be launched, so a failure is final.
  [[nodiscard]] static Result<std::unique_ptr<Containers>> create(Parts parts);

  // `descriptors`: what came with the request, in the order of launcher_protocol.h.
  [[nodiscard]] Result<Reply<Launched>> launch(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors);
  [[nodiscard]] Result<Reply<Executed>> exec(const ExecRequest& request, const std::vector<UniqueFd>& descriptors);
  [[nodiscard]] Status signal(const SignalRequest& request);
  [[nodiscard]] Status remove(const std::string& instance);
  // Every container that has a live init.
  [[nodiscard]] Result<std::vector<Reply<Launched>>> recover();

 private:
  explicit Containers(Parts parts) : parts_(std::move(parts)) {}

  struct Record {
    TenantIndex tenant = 0;
    Ipv4 address = 0;
  };
  [[nodiscard]] Status writeRecord(const std::string& instance, const Record& record);
  [[nodiscard]] Result<Record> readRecord(const std::string& instance) const;
  // Empty where the kernel has no AppArmor; otherwise the profile is in the kernel.
  [[nodiscard]] Result<std::string> profileOf(Confinement confinement, TenantIndex tenant);
  [[nodiscard]] Result<pid_t> findInit(TenantIndex tenant, const std::string& instance);
  [[nodiscard]] Result<Reply<Launched>> start(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors,
                                              cgroups::Group& group);

  Parts parts_;
  std::map<Confinement, std::vector<sock_filter>> filters_;
};

}  // namespace cloister::launcher
