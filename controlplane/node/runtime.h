// Runtime: starting and finishing a container with all that belongs to it: its tenant, its layers, its meter.
//
// Threads: any; all members are safe for it. Failures: the first Error on the way; a failed start leaves no container.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "controlplane/node/launcher.h"
#include "controlplane/node/layers.h"
#include "controlplane/node/meter_loop.h"
#include "controlplane/node/tenants.h"

namespace cloister::node {

// A build's home and the app's: what one leaves there, the other finds. Beside the source, which is in /app, so that
// tools that walk over that meet no cache.
inline constexpr const char* kHome = "/home/app";

// What an app's process sees, the release's own settings last.
[[nodiscard]] std::vector<std::string> appEnvironment(const model::DesiredInstance& instance);
[[nodiscard]] launcher::LaunchRequest appRequest(const model::DesiredTenant& tenant,
                                                 const model::DesiredInstance& instance, const std::string& container);
[[nodiscard]] launcher::Writes writesOf(const model::DesiredInstance& instance);
[[nodiscard]] Metered meteredAs(const model::DesiredInstance& instance);
// Says in the request which calls the container has.
void narrow(launcher::LaunchRequest& request, const model::CallList& list);
[[nodiscard]] launcher::Limits launcherLimits(const model::InstanceLimits& limits);

// Why a container ended, as far as its groups tell beyond the status.
struct Ending {
  std::string status;          // "exit 1", "signal 9", or empty: init ended without a word
  std::uint64_t oomKills = 0;  // since the container began
  bool outOfMemory = false;    // and that ended it
  bool pidsLimit = false;
  bool graceOver = false;  // it was told to end, did not, and was killed for that
};
// Whether a container that was told to end still had time to, or was killed by us.
enum class Grace { lasts, over };
// "ended with exit code 3", "was killed by signal 9 (SIGKILL)", "ran out of memory and was killed".
[[nodiscard]] std::string describe(const Ending& ending);

class Runtime {
 public:
  Runtime(Launcher& launcher, LayerCache& layers, MeterLoop& meter);

  // Tenant and layers are made known first. When the launcher does not know them (any more), they are told once again.
  [[nodiscard]] Result<sandbox::Container> start(const model::DesiredTenant& tenant,
                                                 const launcher::LaunchRequest& request,
                                                 const sandbox::Standard& standard, const Metered& whose);
  // Reads the groups of an ended container; before finish().
  [[nodiscard]] Ending ending(const sandbox::Container& container, const std::string& status, Grace grace);
  // Last meter reading, then removal, which kills what is left. `pidfd` of its init, if it may still run: it is killed
  // first then, for what it spent after its last reading nobody would count.
  [[nodiscard]] Status finish(const std::string& container, int pidfd = -1);
  // finish() of one whose launch failed with `lostReply`: perhaps it runs.
  [[nodiscard]] Status finishUnanswered(const std::string& container, const Metered& whose);
  // The launcher may have done what it was asked and been killed before it said so.
  [[nodiscard]] static bool lostReply(const Error& error);
  void terminate(const std::string& container);
  void kill(const std::string& container);

  [[nodiscard]] Launcher& launcher() { return launcher_; }
  [[nodiscard]] LayerCache& layers() { return layers_; }
  [[nodiscard]] MeterLoop& meter() { return meter_; }
  [[nodiscard]] Tenants& tenants() { return tenants_; }

 private:
  [[nodiscard]] Result<sandbox::Container> tryStart(const model::DesiredTenant& tenant,
                                                    const launcher::LaunchRequest& request,
                                                    const sandbox::Standard& standard);

  Launcher& launcher_;
  LayerCache& layers_;
  MeterLoop& meter_;
  Tenants tenants_;
};

}  // namespace cloister::node
