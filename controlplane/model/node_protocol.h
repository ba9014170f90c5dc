// What cloisterd and cloister-node say to each other: JSON over HTTP on cloisterd's node socket (a Unix socket; mTLS in
// a fleet). The node calls out; cloisterd never connects to a node.
//
//   GET  /node/v1/desired?node=ID&revision=N   long poll, 25 s: 200 DesiredState when revision > N, else 204
//   POST /node/v1/status                       NodeStatus; 204
//   POST /node/v1/usage                        metering batch (metering/batch_json.h); 200 {"acknowledged": sequence}.
//                                              Seals in it that no key of the node signed are recorded and reported.
//   GET  /node/v1/blobs/DIGEST/present         204 when the server reads it where the launcher keeps it,
//                                              404 when it must be sent
//   GET  /node/v1/blobs/DIGEST                 source archives and slugs; 200 with the bytes
//   PUT  /node/v1/blobs/DIGEST                 a slug; 201, or 422 when the bytes are not DIGEST
//   GET  /node/v1/sessions/ID                  WebSocket upgrade: the node's end of a Session
//   POST /node/v1/builds/ID/log                a chunk of build output (text/plain); 204
// Every request carries "Authorization: Bearer <node token>".
//
// What goes over a session's WebSocket, the command included, stands in session_protocol.h.
//
// Encoders write UTF-8 whatever their strings hold: other bytes, and NUL, become U+FFFD. An item of a list that does
// not decode is left out and named in `refused`; the rest of the document holds. Threads and failures: values; decoders
// throw Poco::DataFormatException-derived errors naming the field.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/model/model.h"

namespace cloister::model {

// Bounds of one instance or build, as the launcher wants them.
struct InstanceLimits {
  std::uint64_t memoryBytes = 0;
  std::uint64_t cpuMillis = 0;
  std::uint64_t pids = 0;
  std::uint64_t diskBytes = 0;
  std::uint64_t inodes = 0;
};

// A container's own list of system calls, by number, and what becomes of those that it lacks: `open` means that there
// is no list, `report` that they go on and `refuse` that they fail; either way the node reports them.
enum class OtherCalls { open, report, refuse };
struct CallList {
  OtherCalls others = OtherCalls::open;
  std::vector<std::uint32_t> calls;
};

struct DesiredTenant {
  std::string id;
  std::string name;
  std::uint32_t index = 0;
  TenantState state = TenantState::active;
  std::string plan;
  PlanLimits limits;
};

struct DesiredInstance {
  std::string id;
  std::string tenantId;
  std::string appId;
  std::string app;  // name
  std::string process;
  std::int64_t release = 0;
  std::string command;
  std::map<std::string, std::string> environment;  // config and secrets, PORT included
  std::vector<std::string> layers;                 // topmost first
  InstanceLimits limits;
  std::uint32_t address = 0;
  std::uint16_t port = 0;  // 0: serves no requests ("worker"); ready as soon as it runs
  std::string healthPath;
  std::string healthHost{};  // what a health check names as its host: the app's own
  CallList callList;
  bool immutable = false;  // as in Manifest
  std::vector<std::string> writable;
  DesiredState desired = DesiredState::run;
  bool draining = false;  // out of the edge map; SIGTERM follows when desired becomes stop
};

// Commands that run before all others, in a container with only these files, and leave a layer.
struct DesiredStep {
  std::uint32_t index = 0;     // among the build's steps
  std::uint32_t commands = 0;  // how many
  std::string sourceDigest;    // of an archive of the files; empty: none come
};

struct DesiredBuild {
  std::string id;
  std::string tenantId;
  std::string appId;
  std::string sourceDigest;
  std::string baseDigest;
  std::vector<std::string> commands;  // all, also those that are done
  std::uint32_t doneCommands = 0;     // what they made is in `layers`
  std::vector<std::string> layers;    // over the base, topmost first
  std::vector<DesiredStep> steps;     // with the commands that follow; the rest see the whole source
  std::map<std::string, std::string> environment;
  InstanceLimits limits;
  std::uint64_t timeoutSeconds = 0;
  std::uint32_t address = 0;
  CallList callList;
};

enum class SessionKind { exec, run, logs };
struct Session {
  std::string id;
  SessionKind kind = SessionKind::exec;
  std::string tenantId;
  std::string instanceId;  // exec
  bool terminal = false;   // exec, run
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
  std::string appId;            // logs
  std::string process;          // logs: empty for all
  bool follow = false;          // logs
  Micros since = 0;             // logs: 0 for all that is kept
  std::int64_t lines = -1;      // logs: the last N of each instance; -1 for all
  DesiredInstance runInstance;  // run: a one-off instance, command ignored
};

// An item of a document's list that did not decode. The others were taken; what was left out is told as an event.
struct RefusedItem {
  std::string list;  // "instances"
  std::string id;    // empty when it could not be read either
  std::string tenantId;
  std::string reason;  // "instances[3].limits.pids is out of range"
};

// All that one node should do.
struct NodeWork {
  std::int64_t revision = 0;
  // True only when the store was opened whole and this is all of the node's work. Without it a node starts, never
  // stops.
  bool certified = false;
  std::string nodeId;
  std::vector<DesiredTenant> tenants;
  std::vector<DesiredInstance> instances;
  std::vector<DesiredBuild> builds;
  std::vector<Session> sessions;       // opened by clients and not yet joined by the node
  std::vector<std::string> keepBlobs;  // digests that this node should keep
  std::vector<RefusedItem> refused{};  // by the decoder; never written
};

struct InstanceReport {
  std::string id;
  InstanceState state = InstanceState::pending;
  std::int64_t restarts = 0;
  std::string reason;
  Micros changedAt = 0;
  std::vector<std::uint32_t> calls{};  // that its list lacked
  Micros nextStartAt = 0;
};

// What a step left.
struct BuiltLayer {
  std::uint32_t step = 0;
  std::string digest;
  std::uint64_t bytes = 0;
};

struct BuildReport {
  std::string id;
  BuildState state = BuildState::queued;
  std::string slugDigest;
  Failure failure;
  std::vector<std::uint32_t> calls{};  // that its list lacked
  std::uint64_t slugBytes = 0;
  std::vector<BuiltLayer> layers{};  // of all steps that are done, topmost first; also of a build that failed
};

struct EventReport {
  std::string tenantId;
  std::string app;
  std::string kind;
  std::string text;
};

// How long a tenant's processes on the node have waited since its group was made (PSI).
struct PressureReport {
  std::string tenantId;
  std::string resource;  // "cpu", "memory", "io"
  std::string kind;      // "some", "full"
  std::uint64_t micros = 0;
};

struct NodeStatus {
  std::string nodeId;
  std::string bootId;
  std::string signingKey{};  // public, 64 hexadecimal digits: what the node seals its readings with
  std::int64_t observedRevision = 0;
  std::vector<InstanceReport> instances;  // all that the node knows, stopped ones once
  std::vector<BuildReport> builds;
  std::vector<EventReport> events;
  std::vector<PostureCheck> posture;
  std::vector<PressureReport> pressures;
  std::vector<RefusedItem> refused{};  // by the decoder; never written
};

struct LogLine {
  Micros at = 0;
  std::string app;
  std::string process;
  std::string instance;
  std::string stream;  // "stdout", "stderr", "system"
  std::string line;
};

[[nodiscard]] std::string toJson(const NodeWork&);
[[nodiscard]] std::string toJson(const NodeStatus&);
[[nodiscard]] std::string toJson(const LogLine&);
[[nodiscard]] NodeWork nodeWorkFromJson(const std::string&);
[[nodiscard]] NodeStatus nodeStatusFromJson(const std::string&);
[[nodiscard]] LogLine logLineFromJson(const std::string&);

}  // namespace cloister::model
