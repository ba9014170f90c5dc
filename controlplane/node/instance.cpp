#include "controlplane/node/instance.h"

#include <algorithm>

namespace cloister::node {

using model::DesiredState;
using model::InstanceState;

InstanceMachine::InstanceMachine(Readiness readiness, std::int64_t attempt)
    : readiness_(readiness), attempt_(attempt) {}

void InstanceMachine::enter(Phase phase, std::optional<Millis> timer) {
  phase_ = phase;
  timer_ = timer;
}

bool InstanceMachine::alive() const {
  return phase_ == Phase::starting || phase_ == Phase::running;
}

void InstanceMachine::adopt(Millis now, Known known) {
  startedAt_ = now;
  killed_ = false;
  reason_.clear();
  if (known == Known::ready) {
    enter(Phase::running, readiness_ == Readiness::port ? std::optional(now) : std::nullopt);
  } else {
    launched(now);
  }
}

void InstanceMachine::adoptEnded(Millis now, const std::string& reason) {
  startedAt_ = now;
  phase_ = Phase::starting;
  exited(now, reason);
}

void InstanceMachine::want(DesiredState desired, Millis now) {
  if (desired == desired_) return;
  desired_ = desired;
  if (desired == DesiredState::run) {
    if (phase_ == Phase::stopped) {
      crashes_ = 0;
      reason_.clear();
      enter(Phase::waiting, now);
    }
    return;
  }
  if (phase_ == Phase::waiting) {
    enter(Phase::stopped, std::nullopt);
  } else if (alive()) {
    enter(Phase::terminating, now);
  }
}

void InstanceMachine::launched(Millis now) {
  startedAt_ = now;
  failedChecks_ = 0;
  unhealthy_ = killed_ = false;
  if (desired_ == DesiredState::stop) {
    enter(Phase::terminating, now);
  } else {
    enter(Phase::starting, now + (readiness_ == Readiness::port ? kStartCheckPause / 5 : kAliveAfter));
  }
}

void InstanceMachine::crash(Millis now, const std::string& reason) {
  if (now - startedAt_ >= kStableAfter) crashes_ = 0;
  ++crashes_;
  reason_ = reason;
}

void InstanceMachine::launchFailed(Millis now, const std::string& reason) {
  if (phase_ != Phase::launching) return;
  startedAt_ = now;
  crash(now, reason);
  // A launch whose reply was lost may run: the container is removed before anything else is tried.
  enter(Phase::removing, now);
}

void InstanceMachine::healthPassed(Millis now) {
  if (!alive()) return;
  failedChecks_ = 0;
  reason_.clear();
  enter(Phase::running, now + kCheckPause);
}

void InstanceMachine::healthFailed(Millis now, const std::string& reason) {
  if (!alive()) return;
  if (phase_ == Phase::starting) {
    if (now - startedAt_ < kStartLimit) {
      timer_ = now + kStartCheckPause;
      return;
    }
  } else if (++failedChecks_ < kFailedChecks) {
    timer_ = now + kCheckPause;
    return;
  }
  reason_ = "health check failed: " + reason;
  unhealthy_ = true;
  enter(Phase::terminating, now);
}

void InstanceMachine::exited(Millis now, const std::string& reason) {
  if (!alive() && phase_ != Phase::terminating && phase_ != Phase::killing) return;
  if (desired_ == DesiredState::run) crash(now, unhealthy_ ? reason_ : reason);
  enter(Phase::removing, now);
}

void InstanceMachine::removed(Millis now) {
  if (phase_ != Phase::removing) return;
  unhealthy_ = false;
  if (desired_ == DesiredState::stop) {
    enter(Phase::stopped, std::nullopt);
    return;
  }
  const int doublings = std::clamp(crashes_ - 1, 0, 6);
  enter(Phase::waiting, now + (crashes_ == 0 ? 0 : std::min(kBackOffLimit, Millis{1000} << doublings)));
}

void InstanceMachine::removeFailed(Millis now) {
  if (phase_ == Phase::removing) timer_ = now + kRemovePause;
}

Action InstanceMachine::due(Millis now) {
  if (!timer_ || now < *timer_) return Action::none;
  timer_.reset();
  switch (phase_) {
    case Phase::waiting:
      ++attempt_;
      phase_ = Phase::launching;
      return Action::launch;
    case Phase::starting:
    case Phase::running:
      if (readiness_ == Readiness::port) return Action::check;
      reason_.clear();
      phase_ = Phase::running;
      return Action::none;
    case Phase::terminating:
      enter(Phase::killing, now + kGrace);
      return Action::terminate;
    case Phase::killing:
      if (killed_) {  // and it still did not end: remove() kills and waits by itself
        phase_ = Phase::removing;
        return Action::remove;
      }
      killed_ = true;
      timer_ = now + kKillLimit;
      return Action::kill;
    case Phase::removing:
      return Action::remove;
    case Phase::launching:
    case Phase::stopped:
      return Action::none;
  }
  return Action::none;
}

std::optional<Millis> InstanceMachine::wakeAt() const {
  return timer_;
}

std::optional<Millis> InstanceMachine::nextStart() const {
  return phase_ == Phase::waiting && !reason_.empty() ? timer_ : std::nullopt;
}

InstanceState InstanceMachine::state() const {
  const bool stopping = desired_ == DesiredState::stop;
  switch (phase_) {
    case Phase::waiting:
      return reason_.empty() ? InstanceState::pending : InstanceState::crashed;
    case Phase::launching:
    case Phase::starting:
      return InstanceState::starting;
    case Phase::running:
      return InstanceState::running;
    case Phase::terminating:
    case Phase::killing:
      if (stopping) return InstanceState::draining;
      return unhealthy_ ? InstanceState::unhealthy : InstanceState::crashed;
    case Phase::removing:
      return stopping ? InstanceState::draining : InstanceState::crashed;
    case Phase::stopped:
      return InstanceState::stopped;
  }
  return InstanceState::pending;
}

}  // namespace cloister::node
