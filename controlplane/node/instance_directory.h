// InstanceDirectory: what the node keeps on disk of one instance (config.h draws the tree), and what a new node process
// makes of all of them together with what the launcher says is running: adoption.
//
// The attempt file is written before the launch, so that every container has one that names it. It is of this boot only
// and therefore not synced.
// Threads: not shared. Failures: Error of the file operation.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/node_protocol.h"
#include "sandbox/base/call_set.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::node {

enum class AttemptState { launched, ready, ended };
struct Attempt {
  std::int64_t number = 0;
  std::string bootId;
  AttemptState state = AttemptState::ended;
  friend bool operator==(const Attempt&, const Attempt&) = default;
};
[[nodiscard]] std::string format(const Attempt& attempt);
[[nodiscard]] std::optional<Attempt> parseAttempt(const std::string& text);

// "<instance>-<attempt>"
[[nodiscard]] std::string containerId(const std::string& instance, std::int64_t attempt);
struct ContainerName {
  std::string instance;
  std::int64_t attempt = 0;
};
[[nodiscard]] std::optional<ContainerName> parseContainerId(const std::string& id);

// What cloister-init wrote: "exit 0", "signal 9". Empty when it wrote nothing that is known.
[[nodiscard]] std::string parseStatus(const std::string& text);
// And before that: the calls that the container's list lacked.
[[nodiscard]] CallSet parseCalls(const std::string& text);
inline constexpr std::size_t kMostStatusBytes = 8192;  // a line for each call there is

struct InstanceSpec {
  model::DesiredTenant tenant;
  model::DesiredInstance instance;
};

class InstanceDirectory {
 public:
  InstanceDirectory(const std::string& instances, const std::string& id);

  // Makes what is missing and writes the spec, sealed (sealed_file.h).
  [[nodiscard]] Status prepare(const InstanceSpec& spec) const;
  [[nodiscard]] std::optional<InstanceSpec> spec() const;
  [[nodiscard]] Status record(const Attempt& attempt) const;
  // An unreadable record is none.
  [[nodiscard]] std::optional<Attempt> attempt() const;
  // A new, empty status file, for cloister-init to write.
  [[nodiscard]] Result<UniqueFd> newStatus() const;
  [[nodiscard]] std::string status() const;
  // When cloister-init wrote it, microseconds since the epoch; none when it wrote none.
  [[nodiscard]] std::optional<std::int64_t> endedAt() const;
  [[nodiscard]] CallSet calls() const;
  // Marks it as stopped for good, and forgets its environment; stoppedFor() gives the seconds since, none while it may
  // run.
  void markStopped() const;
  void unmarkStopped() const;
  [[nodiscard]] std::optional<std::int64_t> stoppedSeconds() const;
  [[nodiscard]] std::uint64_t logBytes() const;
  void destroy() const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string logs() const { return path_ + "/log"; }
  [[nodiscard]] std::string out() const { return path_ + "/stdout.fifo"; }
  [[nodiscard]] std::string err() const { return path_ + "/stderr.fifo"; }

 private:
  [[nodiscard]] std::string keyFile() const;
  [[nodiscard]] Status write(const InstanceSpec& spec) const;
  std::string path_;
};

// Logs of instances that are stopped for good.
struct StoppedLogs {
  std::string instance;
  std::string tenantId;
  std::int64_t seconds = 0;  // since it stopped
  std::uint64_t bytes = 0;
};
// The instances whose logs are over `most` bytes of their tenant: the newest are kept.
[[nodiscard]] std::vector<std::string> logsBeyond(std::vector<StoppedLogs> stopped, std::uint64_t most);

// The ids under `instances`.
[[nodiscard]] std::vector<std::string> listInstances(const std::string& instances);

// What the disk and the launcher say, and what follows from it.
struct Kept {
  std::optional<Attempt> attempt;
  std::string status;  // parseStatus() of its file
  bool stopped = false;
};
struct Alive {
  std::string container;
  bool running = false;  // false: its init has ended, the container still has to be removed
};
enum class Fate {
  adopt,      // running: take it over
  finish,     // its container is there but ended: final reading, remove, then restart by back-off
  ended,      // no container any more: restart by back-off
  startAnew,  // the host restarted, or it never ran: no fault of its own
  leaveStopped
};
struct Adoption {
  Fate fate = Fate::startAnew;
  std::string container;  // adopt, finish
  std::int64_t attempt = 0;
  AttemptState state = AttemptState::launched;
  std::string reason;  // finish, ended
};
struct Adoptions {
  std::map<std::string, Adoption> instances;
  std::vector<std::string> unknown;  // containers that no directory knows: kept until certified work has come
};
[[nodiscard]] Adoptions decideAdoptions(const std::map<std::string, Kept>& kept, const std::vector<Alive>& alive,
                                        const std::string& bootId);

}  // namespace cloister::node
