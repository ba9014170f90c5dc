// Agent::Record: one instance as the main loop has it.
//
// Threads: the main loop only. Failures: none; a value.
#pragma once

#include "controlplane/node/agent.h"
#include "controlplane/node/disk_watch.h"

namespace cloister::node {

// Milliseconds of the boot clock.
[[nodiscard]] Millis nowMillis();

struct Agent::Record {
  Record(InstanceSpec what, const std::string& instances, std::int64_t attempt)
      : spec(std::move(what)),
        machine(spec.instance.port != 0 ? Readiness::port : Readiness::alive, attempt),
        directory(instances, spec.instance.id),
        store(std::make_shared<LogStore>(
            directory.logs(), LogStore::Origin{spec.instance.app, spec.instance.process, spec.instance.id})) {}

  [[nodiscard]] std::string containerId() const { return node::containerId(spec.instance.id, machine.attempt()); }

  InstanceSpec spec;
  InstanceMachine machine;
  InstanceDirectory directory;
  std::shared_ptr<LogStore> store;
  std::shared_ptr<sandbox::Container> container;  // of the latest attempt, while it is there
  std::uint64_t token = 0;                        // in the poller; 0: not watched
  DiskWatch disk;                                 // of the latest attempt
  CallSet calls;                                  // that its list lacked, over all attempts
  bool unanswered = false;  // the latest launch was, so that it may have a container of which nothing is known
  bool logsAttached = false;
  bool named = true;     // by the latest work
  bool settled = false;  // stopped, and its directory closed
  bool ready = false;    // the attempt file says so
  model::InstanceState reported = model::InstanceState::pending;
  std::string reportedReason;
  std::optional<Millis> reportedStart;
  model::Micros nextStartAt = 0;
  model::Micros changedAt = 0;
  std::uint64_t settledVersion = 0;  // the first snapshot that had it as stopped
};

}  // namespace cloister::node
