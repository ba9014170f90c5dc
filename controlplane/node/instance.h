// InstanceMachine: the life of one instance as a pure state machine. Time comes in, actions come out.
//
//   waiting ──launch──► launching ──launched()──► starting ──healthPassed()──► running
//      ▲                    │ launchFailed()          │ 60 s without health       │ 3 failed checks
//      └────────────────────┘                         ▼                           ▼
//      ▲                                          terminating ──10 s──► killing ──30 s──┐
//      │                    exited() from any of them ▼                                 ▼
//      └── back-off 1, 2, 4 ... 60 s ◄── removed() ── removing ◄────────────────────────┘
//                                           └── wanted stop ──► stopped
//
// due(now) gives at most one action and takes for granted that the owner carries it out and reports back; the owner
// calls it until it gives none, then again at wakeAt() or after an event. An event that does not fit the phase is
// ignored, so a late answer does no harm. Every start has its own attempt number; the back-off returns to 1 s after
// 60 s of running.
// Threads: not shared. Failures: none; a pure value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/model/model.h"

namespace cloister::node {

using Millis = std::int64_t;  // of a clock that never steps

inline constexpr Millis kStartLimit = 60'000;
inline constexpr Millis kStartCheckPause = 250;
inline constexpr Millis kCheckPause = 10'000;
inline constexpr Millis kAliveAfter = 1'000;
inline constexpr Millis kGrace = 10'000;
inline constexpr Millis kKillLimit = 30'000;
inline constexpr Millis kRemovePause = 2'000;
inline constexpr Millis kBackOffLimit = 60'000;
inline constexpr Millis kStableAfter = 60'000;
inline constexpr int kFailedChecks = 3;

enum class Action { none, launch, check, terminate, kill, remove };
enum class Phase { waiting, launching, starting, running, terminating, killing, removing, stopped };
// `port`: health is asked at its port; `alive`: a process without a port is ready once it lived for a second.
enum class Readiness { port, alive };

class InstanceMachine {
 public:
  InstanceMachine(Readiness readiness, std::int64_t attempt);

  // A running container of `attempt` that an earlier node process started; `ready` if it had passed its health check.
  enum class Known { starting, ready };
  void adopt(Millis now, Known known);
  // The latest attempt ended while nobody looked; its container may still have to be removed.
  void adoptEnded(Millis now, const std::string& reason);

  void want(model::DesiredState desired, Millis now);

  void launched(Millis now);
  void launchFailed(Millis now, const std::string& reason);
  void healthPassed(Millis now);
  void healthFailed(Millis now, const std::string& reason);
  void exited(Millis now, const std::string& reason);
  void removed(Millis now);
  void removeFailed(Millis now);

  [[nodiscard]] Action due(Millis now);
  [[nodiscard]] std::optional<Millis> wakeAt() const;

  [[nodiscard]] Phase phase() const { return phase_; }
  // When the back-off after a crash is over; none when nothing is waited for.
  [[nodiscard]] std::optional<Millis> nextStart() const;
  [[nodiscard]] model::InstanceState state() const;
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] std::int64_t attempt() const { return attempt_; }
  [[nodiscard]] std::int64_t restarts() const { return attempt_ > 1 ? attempt_ - 1 : 0; }
  [[nodiscard]] model::DesiredState wanted() const { return desired_; }

 private:
  void enter(Phase phase, std::optional<Millis> timer);
  void crash(Millis now, const std::string& reason);
  [[nodiscard]] bool alive() const;

  Readiness readiness_;
  std::int64_t attempt_;
  model::DesiredState desired_ = model::DesiredState::run;
  Phase phase_ = Phase::waiting;
  std::optional<Millis> timer_ = 0;  // when due() has something to do; none: an answer is awaited
  std::string reason_;
  Millis startedAt_ = 0;
  int crashes_ = 0;       // in a row
  int failedChecks_ = 0;  // in a row
  bool unhealthy_ = false;
  bool killed_ = false;
};

}  // namespace cloister::node
