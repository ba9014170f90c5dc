#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "controlplane/node/agent.h"
#include "controlplane/node/agent_record.h"
#include "sandbox/base/counters.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

using launcher::DescriptorKind;

// What a worker needs to launch; values, so that the main loop may change its mind meanwhile.
struct Ends {
  UniqueFd in;
  UniqueFd out;
  UniqueFd err;
  UniqueFd status;
};

Result<Ends> openEnds(const InstanceDirectory& directory) {
  Ends ends;
  auto in = files::openAt(AT_FDCWD, "/dev/null", O_RDONLY);
  if (!in) return in.error();
  auto out = streams::openFifo(directory.out(), streams::Blocking::yes);
  if (!out) return out.error();
  auto err = streams::openFifo(directory.err(), streams::Blocking::yes);
  if (!err) return err.error();
  auto status = directory.newStatus();
  if (!status) return status.error();
  ends.in = std::move(in).value();
  ends.out = std::move(out).value();
  ends.err = std::move(err).value();
  ends.status = std::move(status).value();
  return ends;
}

}  // namespace

Agent::Record& Agent::addRecord(const InstanceSpec& spec, std::int64_t attempt) {
  auto record = std::make_unique<Record>(spec, config_.instances(), attempt);
  record->changedAt = counters::utcMicros();
  auto& added = *record;
  records_[spec.instance.id] = std::move(record);
  dirty_ = true;
  return added;
}

Agent::Record* Agent::find(const std::string& id, std::int64_t attempt) {
  const auto found = records_.find(id);
  if (found == records_.end() || found->second->machine.attempt() != attempt) return nullptr;
  return found->second.get();
}

void Agent::pump(Record& record) {
  const Millis now = nowMillis();
  for (Action action = record.machine.due(now); action != Action::none; action = record.machine.due(now)) {
    perform(record, action);
  }
  if (record.machine.phase() == Phase::stopped && !record.settled) settled(record);
  if (record.machine.phase() == Phase::running && !record.ready) {
    record.ready = true;
    remember(record, AttemptState::ready);
  }
  setTarget(record);
  const auto state = record.machine.state();
  const auto nextStart = record.machine.nextStart();
  if (state == record.reported && record.machine.reason() == record.reportedReason && nextStart == record.reportedStart)
    return;
  record.reportedStart = nextStart;
  record.nextStartAt = nextStart ? counters::utcMicros() + (*nextStart - now) * 1000 : 0;
  if (nextStart) record.store->system("starts again in " + std::to_string((*nextStart - now + 999) / 1000) + " s");
  record.reported = state;
  record.reportedReason = record.machine.reason();
  record.changedAt = counters::utcMicros();
  dirty_ = true;
}

void Agent::perform(Record& record, Action action) {
  switch (action) {
    case Action::none:
      return;
    case Action::launch:
      return launch(record);
    case Action::check:
      return check(record);
    case Action::remove:
      return remove(record);
    case Action::terminate:
      record.store->system("stopping: SIGTERM");
      workers_->submit([this, id = record.containerId()] { runtime_->terminate(id); });
      return;
    case Action::kill:
      record.store->system("still running: SIGKILL");
      workers_->submit([this, id = record.containerId()] { runtime_->kill(id); });
      return;
  }
}

Status Agent::attachLogs(Record& record) {
  if (record.logsAttached) return {};
  auto out = streams::openFifo(record.directory.out(), streams::Blocking::no);
  if (!out) return out.error();
  auto err = streams::openFifo(record.directory.err(), streams::Blocking::no);
  if (!err) return err.error();
  auto done = logs_->add(record.spec.instance.id, std::move(out).value(), std::move(err).value(), record.store);
  record.logsAttached = done.ok();
  return done;
}

void Agent::remember(Record& record, AttemptState state) {
  auto done = record.directory.record({record.machine.attempt(), bootId_, state});
  if (!done) spdlog::warn("{}: {}", record.containerId(), done.error().message());
}

void Agent::launch(Record& record) {
  const std::string id = record.spec.instance.id;
  const std::int64_t attempt = record.machine.attempt();
  record.ready = false;
  auto prepared = record.directory.prepare(record.spec);
  if (prepared) prepared = attachLogs(record);
  if (prepared) prepared = record.directory.record({attempt, bootId_, AttemptState::launched});
  if (!prepared) {
    post([this, id, attempt, why = prepared.error().message()] { launchFailed(id, attempt, why); });
    return;
  }
  workers_->submit([this, id, attempt, spec = record.spec, directory = record.directory] {
    auto ends = openEnds(directory);
    if (!ends) {
      post([this, id, attempt, why = ends.error().message()] { launchFailed(id, attempt, why); });
      return;
    }
    const auto request = appRequest(spec.tenant, spec.instance, containerId(id, attempt));
    const sandbox::Standard standard{ends->in.get(), ends->out.get(), ends->err.get(), ends->status.get(), -1};
    auto started = runtime_->start(spec.tenant, request, standard, meteredAs(spec.instance));
    if (!started) {
      post([this, id, attempt, why = "launch: " + started.error().message(),
            unanswered = Runtime::lostReply(started.error())] {
        if (Record* found = find(id, attempt)) found->unanswered = unanswered;
        launchFailed(id, attempt, why);
      });
      return;
    }
    auto container = std::make_shared<sandbox::Container>(std::move(started).value());
    post([this, id, attempt, container] { launched(id, attempt, container); });
  });
}

void Agent::launched(const std::string& id, std::int64_t attempt, std::shared_ptr<sandbox::Container> container) {
  Record* record = find(id, attempt);
  if (record == nullptr) return;
  record->container = std::move(container);
  record->disk = {};
  record->store->system("started " + record->containerId());
  spdlog::info("{} started", record->containerId());
  record->machine.launched(nowMillis());
  watch(*record);
  pump(*record);
}

void Agent::launchFailed(const std::string& id, std::int64_t attempt, const std::string& reason) {
  Record* record = find(id, attempt);
  if (record == nullptr) return;
  spdlog::warn("{}: {}", record->containerId(), reason);
  record->store->system("could not be started: " + reason);
  note(*record, "instance.crashed", record->spec.instance.process + " could not be started: " + reason);
  record->machine.launchFailed(nowMillis(), "could not be started: " + reason);
  pump(*record);
}

void Agent::watch(Record& record) {
  const int pidfd = record.container->descriptor(DescriptorKind::pid);
  if (pidfd < 0) {
    exited(record);
    return;
  }
  record.token = nextToken_++;
  tokens_[record.token] = record.spec.instance.id;
  if (auto done = poller_.add(pidfd, record.token, streams::Poller::Trigger::level); !done) {
    spdlog::error("{}: {}", record.containerId(), done.error().message());
  }
}

void Agent::unwatch(Record& record) {
  if (record.token == 0) return;
  poller_.remove(record.container->descriptor(DescriptorKind::pid));
  tokens_.erase(record.token);
  record.token = 0;
}

void Agent::check(Record& record) {
  const auto& instance = record.spec.instance;
  health_->check({instance.address, instance.port, instance.healthPath, instance.healthHost},
                 [this, id = instance.id, attempt = record.machine.attempt()](const std::string& failure) {
                   post([this, id, attempt, failure] {
                     Record* found = find(id, attempt);
                     if (found == nullptr) return;
                     if (failure.empty()) {
                       found->machine.healthPassed(nowMillis());
                     } else {
                       found->machine.healthFailed(nowMillis(), failure);
                       if (found->machine.phase() == Phase::terminating) {
                         found->store->system(found->machine.reason());
                         note(*found, "instance.unhealthy", found->machine.reason());
                       }
                     }
                     pump(*found);
                   });
                 });
}

void Agent::readCalls(Record& record) {
  const CallSet calls = record.calls | record.directory.calls();
  if (calls == record.calls) return;
  record.calls = calls;
  dirty_ = true;
}

void Agent::lookAtDisk(Record& record) {
  const int upper = record.container ? record.container->descriptor(DescriptorKind::upper) : -1;
  if (upper < 0) return;
  const auto space = streams::freeSpace(upper);
  if (!space) return;
  const auto full = record.disk.look(*space, record.spec.instance.limits);
  if (full) note(record, "instance.disk_full", record.spec.instance.process + ": " + *full);
}

void Agent::exited(Record& record) {
  unwatch(record);
  readCalls(record);
  lookAtDisk(record);
  const std::string status = record.directory.status();
  const Ending ending = runtime_->ending(*record.container, status,
                                         record.machine.phase() == Phase::killing ? Grace::over : Grace::lasts);
  const std::string reason = describe(ending);
  const bool wanted = record.machine.wanted() == model::DesiredState::run;
  logs_->drain(record.spec.instance.id);
  if (ending.outOfMemory) {
    record.store->system("killed: out of memory");
  } else {
    record.store->system(reason);
  }
  spdlog::info("{} ended: {}", record.containerId(), reason);
  if (wanted) {
    note(record, ending.outOfMemory ? "instance.oom" : "instance.crashed",
         record.spec.instance.process + ": " + reason);
  }
  record.machine.exited(nowMillis(), reason);
  pump(record);
}

void Agent::remove(Record& record) {
  unwatch(record);
  // The descriptors stay open until the last reading is done: the worker holds the container.
  workers_->submit([this, id = record.spec.instance.id, attempt = record.machine.attempt(), name = record.containerId(),
                    held = record.container, unanswered = record.unanswered, whose = meteredAs(record.spec.instance)] {
    auto done = unanswered ? runtime_->finishUnanswered(name, whose)
                           : runtime_->finish(name, held ? held->descriptor(DescriptorKind::pid) : -1);
    if (!done) spdlog::warn("{}: {}", name, done.error().message());
    post([this, id, attempt, good = done.ok()] {
      Record* found = find(id, attempt);
      if (found == nullptr) return;
      if (good) {
        found->container.reset();
        found->unanswered = false;
        remember(*found, AttemptState::ended);
        found->machine.removed(nowMillis());
      } else {
        found->machine.removeFailed(nowMillis());
      }
      pump(*found);
    });
  });
}

void Agent::settled(Record& record) {
  record.settled = true;
  record.settledVersion = 0;
  logs_->drain(record.spec.instance.id);
  logs_->remove(record.spec.instance.id);
  record.logsAttached = false;
  record.directory.markStopped();
  dirty_ = true;
}

void Agent::note(const Record& record, const std::string& kind, const std::string& text) {
  reporter_->event({record.spec.instance.tenantId, record.spec.instance.app, kind, text});
}

void Agent::setTarget(const Record& record) {
  const std::lock_guard lock(targetsMutex_);
  const bool alive = record.container && record.machine.phase() != Phase::removing;
  if (alive) {
    targets_[record.spec.instance.id] = {record.containerId(), record.spec.instance};
  } else {
    targets_.erase(record.spec.instance.id);
  }
}

std::optional<Sessions::Target> Agent::target(const std::string& id) {
  const std::lock_guard lock(targetsMutex_);
  const auto found = targets_.find(id);
  return found == targets_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace cloister::node
