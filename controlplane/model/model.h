// The nouns of the control plane: plans, tenants, apps, releases, builds, instances, nodes, operations.
//
// Plain values. Times are microseconds since the Unix epoch, UTC. Sizes are bytes, CPU is thousandths of a core.
// `revision` counts writes of the row and is the API's ETag. Ids are opaque, with a prefix that says the kind ("tn-",
// "ap-", "bd-", "in-", "op-", "tk-", "nd-", "ss-"); names are DNS labels and unique within their owner.
// Threads and failures: none; values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cloister::model {

using Micros = std::int64_t;

struct PlanLimits {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
  std::uint64_t pids = 0;
  std::uint64_t diskBytes = 0;  // writable uppers of all instances and builds together
  std::uint64_t inodes = 0;     // likewise
  std::uint64_t networkBitsPerSecond = 0;
  std::uint64_t instances = 0;
  std::uint64_t apps = 0;
  std::uint64_t buildMemoryBytes = 0;  // a build's share, beside the running instances' memory in the tenant's group
  std::uint64_t buildDiskBytes = 0;
  std::uint64_t buildSeconds = 0;
  // Zero: none.
  std::uint64_t memoryHighBytes = 0;     // beyond it a tenant is slowed and its caches go, before anything is killed
  std::uint64_t cpuBurstMillis = 0;      // what unused quota may be spent on top, in one period
  std::uint64_t diskBytesPerSecond = 0;  // each of reads and writes
  std::uint64_t diskOperationsPerSecond = 0;    // likewise
  std::uint64_t releases = 10;                  // of an app, whose images are kept
  std::uint64_t imageDiskBytes = 10ULL << 30U;  // of all images that are kept
  // How far a rollout may go beyond the plan's memory, disk and instances, so that a new instance starts beside the
  // old.
  std::uint64_t surgePercent = 0;
  friend bool operator==(const PlanLimits&, const PlanLimits&) = default;
};

struct Plan {
  std::string name;
  PlanLimits limits;
  std::int64_t revision = 1;
};

enum class TenantState { active, suspended, deleting };
struct Tenant {
  std::string id;
  std::string name;
  std::string plan;
  TenantState state = TenantState::active;
  std::uint32_t index = 0;
  Micros createdAt = 0;
  std::int64_t revision = 1;
};

struct App {
  std::string id;
  std::string tenantId;
  std::string name;
  std::int64_t currentRelease = 0;                // 0: none yet
  std::map<std::string, std::int64_t> formation;  // process type -> wanted instances; "web" starts at 1, others at 0
  Micros createdAt = 0;
  std::int64_t revision = 1;
};

// What cloister.toml (or a Procfile) says, parsed once.
struct Manifest {
  std::string base = "debian-12";
  std::vector<std::string> buildCommands;
  std::map<std::size_t, std::vector<std::string>> buildFiles;  // by command: all of the source that it reads
  std::map<std::string, std::string> processes;                // process type -> command line for /bin/sh -c
  std::string healthPath;                                      // empty: the port accepting is enough
  std::int64_t settleMillis = -1;  // how long a new instance has to stay ready; -1: the host's
                                   // default
  std::uint64_t memoryBytes = 0;   // per instance; 0: the default share of the plan
  std::uint64_t cpuMillis = 0;
  std::uint64_t diskBytes = 0;
  std::uint64_t pids = 0;
  bool immutable = false;             // the app writes nowhere but below `writable`, /run, /tmp and /var/tmp
  std::vector<std::string> writable;  // absolute paths; with immutable only
};

struct Failure {
  std::string code;        // stable, as in problem+json
  std::string detail;      // for a person
  std::string instance{};  // whose log tells more; empty: of none
  [[nodiscard]] bool failed() const { return !code.empty(); }
};

// Whether a build may take over what an earlier one with the same inputs has made.
enum class Reuse { unchanged, nothing };
// Commands of a build that see only some of the source, and leave a layer that can be used again (builds/steps.h).
struct BuildStep {
  std::uint32_t commands = 0;
  std::string sourceDigest;  // an archive of the files that come with it; empty: none
  std::string treeDigest;    // of what that unpacks to
};

enum class BuildState { queued, running, succeeded, failed, cancelled };
struct Build {
  std::string id;
  std::string tenantId;
  std::string appId;
  std::string operationId;
  std::string sourceDigest;
  std::string treeDigest;  // of what the source unpacks to; empty: not known
  std::string baseDigest;
  std::string slugDigest;
  std::map<std::string, std::string> environment;  // as the commands see it
  Reuse reuse = Reuse::unchanged;
  std::vector<BuildStep> steps;     // the first of its commands
  std::vector<std::string> layers;  // that they left, topmost first
  std::string reused;               // id of the build whose slug it took over
  Manifest manifest;
  BuildState state = BuildState::queued;
  Failure failure;
  std::string nodeId;
  std::uint32_t address = 0;
  Micros createdAt = 0;
  Micros finishedAt = 0;
};

enum class ReleaseState {
  rollingOut,
  released,
  refused,    // its instances did not get ready, or did not stay so
  superseded  // another took its place before it was rolled out
};
// Never changes once written, but for what became of it.
struct Release {
  std::string appId;
  std::int64_t version = 0;
  std::string buildId;
  std::string baseDigest;
  std::string slugDigest;
  std::vector<std::string> layers;  // between slug and base, topmost first
  Manifest manifest;
  std::map<std::string, std::string> config;  // its secrets are kept apart, sealed (store/environments.h)
  std::string description;                    // "deploy", "config set A", "rollback to v3"
  std::string createdBy;
  Micros createdAt = 0;
  bool imageKept = true;  // false: of this release there is its history alone
  ReleaseState state = ReleaseState::rollingOut;
};

// What an app does with its own list of system calls, which lies within its class's (policy/model/call_profile.h).
enum class CallMode {
  off,     // its class's list holds alone
  learn,   // what is called joins the list
  grace,   // what the list lacks goes on, and is flagged
  enforce  // what the list lacks is refused, and flagged
};
struct CallProfile {
  CallMode mode = CallMode::off;
  Micros learnUntil = 0;  // learn: then it is grace
  bool builds = true;     // what builds were seen to call counts too
};
// One call that an app was seen to make, or that was named for it.
struct SeenCall {
  std::uint32_t number = 0;
  bool byApp = false;    // while it learned
  bool byBuild = false;  // likewise
  bool byName = false;
  bool flagged = false;  // it came when the list lacked it
  Micros firstAt = 0;
};

enum class DesiredState { run, stop };
enum class InstanceState { pending, starting, running, unhealthy, crashed, draining, stopped };
struct Instance {
  std::string id;
  std::string tenantId;
  std::string appId;
  std::int64_t release = 0;
  std::string process;
  std::string nodeId;
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  DesiredState desired = DesiredState::run;
  InstanceState state = InstanceState::pending;  // `running` means ready: health passed
  std::int64_t restarts = 0;
  std::string reason;      // why it is crashed or unhealthy: "ended with exit code 1", "out of memory"
  Micros nextStartAt = 0;  // crashed: when it is started again; 0: not yet known
  Micros createdAt = 0;
  Micros changedAt = 0;
};

enum class NodeState { ready, cordoned, draining, down };
struct PostureCheck {
  std::string name;
  std::string state;  // enforced | absent | off
  std::string reason;
};
struct Node {
  std::string id;
  std::string name;
  NodeState state = NodeState::ready;
  std::string bootId;
  std::int64_t observedRevision = 0;
  std::vector<PostureCheck> posture;
  Micros lastSeen = 0;
};
// What a node of that name has sealed readings with. A key that a node no longer has stays good for what it signed.
struct NodeKey {
  std::string node;
  std::string publicKey;
  Micros since = 0;  // when the node first reported it
};

enum class OperationState { pending, running, succeeded, failed };
struct Operation {
  std::string id;
  std::string tenantId;
  std::string kind;     // "deploy", "rollback", "scale", "config", "tenant.remove"
  std::string subject;  // "app/hello"
  OperationState state = OperationState::pending;
  std::string progress;  // one line for a person: "building", "starting 2 of 3"
  std::string notice{};  // what its caller should know beforehand, as that the app stops first
  Failure failure;
  std::string result;  // "v3" for a deploy
  Micros createdAt = 0;
  Micros updatedAt = 0;
};

enum class Scope { provider, tenant, node };
struct Token {
  std::string id;
  std::string name;
  Scope scope = Scope::tenant;
  std::string tenantId;  // empty unless Scope::tenant
  Micros createdAt = 0;
  Micros lastUsedAt = 0;
  bool revoked = false;
};

struct AuditEntry {
  std::int64_t id = 0;
  Micros at = 0;
  std::string actor;  // token id
  std::string tenantId;
  std::string action;  // "POST /v1/apps"
  std::string subject;
  std::int64_t status = 0;
};

struct Event {
  std::int64_t id = 0;
  Micros at = 0;
  std::string tenantId;
  std::string app;
  std::string kind;  // "instance.crashed", "instance.oom", "build.failed", "release.created"
  std::string text;
};

struct Domain {
  std::string host;
  std::string appId;
  std::string tenantId;
};

// Names as the API and the database write them.
[[nodiscard]] const char* name(TenantState);
[[nodiscard]] const char* name(BuildState);
[[nodiscard]] const char* name(ReleaseState);
[[nodiscard]] const char* name(CallMode);
[[nodiscard]] const char* name(DesiredState);
[[nodiscard]] const char* name(InstanceState);
[[nodiscard]] const char* name(NodeState);
[[nodiscard]] const char* name(OperationState);
[[nodiscard]] const char* name(Scope);
[[nodiscard]] std::optional<TenantState> tenantState(const std::string&);
[[nodiscard]] std::optional<BuildState> buildState(const std::string&);
[[nodiscard]] std::optional<ReleaseState> releaseState(const std::string&);
[[nodiscard]] std::optional<CallMode> callMode(const std::string&);
[[nodiscard]] std::optional<DesiredState> desiredState(const std::string&);
[[nodiscard]] std::optional<InstanceState> instanceState(const std::string&);
[[nodiscard]] std::optional<NodeState> nodeState(const std::string&);
[[nodiscard]] std::optional<OperationState> operationState(const std::string&);
[[nodiscard]] std::optional<Scope> scope(const std::string&);

}  // namespace cloister::model
