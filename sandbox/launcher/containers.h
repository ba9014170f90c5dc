// Containers: carries out the verbs that start, join, signal, remove and find containers.
//
// Nothing about a running container is only in this process's memory: the cgroup tree says what runs, and
//   <run>/containers/<instance>   "tenant address\n"
// says whose it is and which address to unpin. So a launcher that was killed goes on where it stopped: recover() lists
// what runs, remove() clears what a half-made launch left. Life cycle: launch -> (exec, signal)* -> remove.
//
// No verb waits for a child or for a killed process: what must is an Outcome that goes on as a Pending. The caller
// keeps the verbs of one instance in order: none while its launch or its removal is pending. Threads: not shared.
// Failures: the child's ExecReport or our own Error; a failed launch leaves no process, group, link, mount or record.
// Preconditions: root; Layers::open() has made the mount namespace private.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <linux/filter.h>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/cgroups/cgroups.h"
#include "sandbox/launcher/apparmor.h"
#include "sandbox/launcher/pending.h"
#include "sandbox/network/network.h"
#include "sandbox/rootfs/kernel_views.h"
#include "sandbox/rootfs/layers.h"
#include "sandbox/rootfs/rootfs.h"
#include "sandbox/rootfs/uppers.h"

namespace cloister::launcher {

// A good reply's payload and the descriptors that go with it.
template <typename T>
struct Reply {
  T values;
  std::vector<UniqueFd> descriptors;
};

// Waits for the answer: for callers that have nothing else to do.
[[nodiscard]] Answer finish(Outcome outcome);

// Moves the group's directories into the reply, tagged.
void addGroups(Reply<Launched>& reply, cgroups::Group& group);

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
  [[nodiscard]] Outcome launch(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors);
  [[nodiscard]] Outcome exec(const ExecRequest& request, const std::vector<UniqueFd>& descriptors);
  [[nodiscard]] Outcome endExec(const EndExecRequest& request);
  [[nodiscard]] Status signal(const SignalRequest& request);
  [[nodiscard]] Outcome remove(const std::string& instance);
  // Every container that has a group: one without a pid has ended, and waits for its last reading and its removal.
  [[nodiscard]] Result<std::vector<Reply<Launched>>> recover();

 private:
  explicit Containers(Parts parts) : parts_(std::move(parts)) {}

  struct Record {
    TenantIndex tenant = 0;
    Ipv4 address = 0;
  };
  [[nodiscard]] Status writeRecord(const std::string& instance, const Record& record);
  // ENOENT also when a launcher was killed before it had written it.
  [[nodiscard]] Result<Record> readRecord(const std::string& instance) const;
  [[nodiscard]] Status forget(const std::string& instance);
  // Empty where the kernel has no AppArmor; otherwise the profile is in the kernel.
  [[nodiscard]] Result<std::string> profileOf(Confinement confinement, TenantIndex tenant);
  [[nodiscard]] Result<pid_t> findInit(TenantIndex tenant, const std::string& instance);
  [[nodiscard]] Result<UniqueFd> openInit(TenantIndex tenant, const std::string& instance);
  // What a live init gives; nothing when it has ended.
  void addInit(Reply<Launched>& reply, TenantIndex tenant, const std::string& instance);
  // containers_launch.cpp
  class Launching;
  [[nodiscard]] Status prepareTree(const LaunchRequest& request, rootfs::Tree& tree, UniqueFd& meter);
  [[nodiscard]] Status begin(const LaunchRequest& request, const std::vector<UniqueFd>& descriptors,
                             Launching& launching);
  // Removes what a failed launch left, and answers with `why`.
  [[nodiscard]] Outcome undo(const std::string& instance, const Error& why);
  // containers_remove.cpp
  // What is left of a container without processes.
  [[nodiscard]] Status release(const std::string& instance, const Record& record);

  Parts parts_;
  struct Filters {
    std::vector<sock_filter> answered;  // with the calls that cloister-init answers
    std::vector<sock_filter> plain;     // beside a narrowing filter, which has those
  };
  std::map<Confinement, Filters> filters_;
};

}  // namespace cloister::launcher
