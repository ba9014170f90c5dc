#include "controlplane/node/instance.h"

#include <gtest/gtest.h>

#include <vector>

namespace cloister::node {
namespace {

using model::DesiredState;
using model::InstanceState;

// A machine that was launched at `now` and is healthy.
InstanceMachine running(Millis now) {
  InstanceMachine machine(Readiness::port, 0);
  EXPECT_EQ(machine.due(now), Action::launch);
  machine.launched(now);
  machine.healthPassed(now);
  return machine;
}

// Crashes right after each launch; the pauses between removal and the next launch.
std::vector<Millis> backOffs(int crashes, Millis livesFor) {
  std::vector<Millis> pauses;
  InstanceMachine machine(Readiness::port, 0);
  Millis now = 0;
  EXPECT_EQ(machine.due(now), Action::launch);
  for (int i = 0; i < crashes; ++i) {
    machine.launched(now);
    now += livesFor;
    machine.exited(now, "exit 1");
    EXPECT_EQ(machine.due(now), Action::remove);
    machine.removed(now);
    pauses.push_back(machine.wakeAt().value_or(-1) - now);
    now = machine.wakeAt().value_or(now);
    EXPECT_EQ(machine.due(now - 1), Action::none);
    EXPECT_EQ(machine.due(now), Action::launch);
  }
  return pauses;
}

TEST(InstanceMachine, LaunchesAtOnceAndIsRunningOnlyAfterHealth) {
  InstanceMachine machine(Readiness::port, 0);
  EXPECT_EQ(machine.state(), InstanceState::pending);
  EXPECT_EQ(machine.due(0), Action::launch);
  EXPECT_EQ(machine.due(0), Action::none) << "a launch is asked for once";
  EXPECT_EQ(machine.attempt(), 1);
  machine.launched(10);
  EXPECT_EQ(machine.state(), InstanceState::starting);
  const Millis first = machine.wakeAt().value();
  EXPECT_EQ(machine.due(first), Action::check);
  machine.healthFailed(first, "refused");
  EXPECT_EQ(machine.state(), InstanceState::starting);
  EXPECT_EQ(machine.wakeAt(), first + kStartCheckPause);
  EXPECT_EQ(machine.due(first + kStartCheckPause), Action::check);
  machine.healthPassed(first + kStartCheckPause);
  EXPECT_EQ(machine.state(), InstanceState::running);
  EXPECT_EQ(machine.restarts(), 0);
}

TEST(InstanceMachine, ProcessWithoutPortIsRunningAfterASecond) {
  InstanceMachine machine(Readiness::alive, 0);
  EXPECT_EQ(machine.due(0), Action::launch);
  machine.launched(0);
  EXPECT_EQ(machine.due(kAliveAfter - 1), Action::none);
  EXPECT_EQ(machine.state(), InstanceState::starting);
  EXPECT_EQ(machine.due(kAliveAfter), Action::none);
  EXPECT_EQ(machine.state(), InstanceState::running);
  EXPECT_FALSE(machine.wakeAt().has_value());
}

TEST(InstanceMachine, BackOffDoublesUpToAMinute) {
  EXPECT_EQ(backOffs(8, 100), (std::vector<Millis>{1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000}));
}

TEST(InstanceMachine, BackOffBeginsAnewAfterAMinuteOfRunning) {
  EXPECT_EQ(backOffs(3, kStableAfter), (std::vector<Millis>{1000, 1000, 1000}));
}

TEST(InstanceMachine, CrashIsToldWithItsReasonUntilHealthPassesAgain) {
  auto machine = running(0);
  machine.exited(5, "out of memory");
  EXPECT_EQ(machine.due(5), Action::remove);
  EXPECT_EQ(machine.state(), InstanceState::crashed);
  EXPECT_FALSE(machine.nextStart()) << "what is left of it comes first";
  machine.removed(6);
  EXPECT_EQ(machine.state(), InstanceState::crashed);
  EXPECT_EQ(machine.nextStart(), 1006);
  EXPECT_EQ(machine.reason(), "out of memory");
  EXPECT_EQ(machine.due(2000), Action::launch);
  EXPECT_EQ(machine.attempt(), 2);
  EXPECT_EQ(machine.restarts(), 1);
  machine.launched(2000);
  EXPECT_FALSE(machine.nextStart());
  machine.healthPassed(2100);
  EXPECT_EQ(machine.state(), InstanceState::running);
  EXPECT_EQ(machine.reason(), "");
}

TEST(InstanceMachine, NeverHealthyForAMinuteIsRestarted) {
  InstanceMachine machine(Readiness::port, 0);
  EXPECT_EQ(machine.due(0), Action::launch);
  machine.launched(0);
  Millis now = machine.wakeAt().value();
  int checks = 0;
  while (machine.due(now) == Action::check) {
    ++checks;
    machine.healthFailed(now, "refused");
    if (machine.phase() != Phase::starting) break;
    now = machine.wakeAt().value();
  }
  EXPECT_GE(now, kStartLimit);
  EXPECT_GT(checks, 100);
  EXPECT_EQ(machine.phase(), Phase::terminating);
  EXPECT_EQ(machine.state(), InstanceState::unhealthy);
  EXPECT_EQ(machine.due(now), Action::terminate);
  machine.exited(now + 1, "signal 15");
  EXPECT_EQ(machine.reason(), "health check failed: refused");
}

TEST(InstanceMachine, ThreeFailedChecksInARowRestart) {
  auto machine = running(0);
  machine.healthFailed(1, "status 500");
  machine.healthFailed(2, "status 500");
  machine.healthPassed(3);
  machine.healthFailed(4, "status 500");
  machine.healthFailed(5, "status 500");
  EXPECT_EQ(machine.state(), InstanceState::running) << "a good answer in between counts";
  machine.healthFailed(6, "status 500");
  EXPECT_EQ(machine.state(), InstanceState::unhealthy);
  EXPECT_EQ(machine.due(6), Action::terminate);
}

TEST(InstanceMachine, StopIsTermThenGraceThenKillThenRemove) {
  auto machine = running(0);
  machine.want(DesiredState::stop, 100);
  EXPECT_EQ(machine.state(), InstanceState::draining);
  EXPECT_EQ(machine.due(100), Action::terminate);
  EXPECT_EQ(machine.due(100 + kGrace - 1), Action::none);
  EXPECT_EQ(machine.due(100 + kGrace), Action::kill);
  EXPECT_EQ(machine.due(100 + kGrace + kKillLimit - 1), Action::none);
  EXPECT_EQ(machine.due(100 + kGrace + kKillLimit), Action::remove);
  machine.removed(200'000);
  EXPECT_EQ(machine.state(), InstanceState::stopped);
  EXPECT_EQ(machine.due(300'000), Action::none);
}

TEST(InstanceMachine, ExitDuringGraceOrAfterKillRemovesAtOnce) {
  for (const Millis exitAt : {Millis{150}, 100 + kGrace + 5}) {
    auto machine = running(0);
    machine.want(DesiredState::stop, 100);
    EXPECT_EQ(machine.due(100), Action::terminate);
    if (exitAt > 100 + kGrace) {
      EXPECT_EQ(machine.due(100 + kGrace), Action::kill);
    }
    machine.exited(exitAt, "exit 0");
    EXPECT_EQ(machine.due(exitAt), Action::remove);
    machine.removed(exitAt);
    EXPECT_EQ(machine.state(), InstanceState::stopped);
    EXPECT_EQ(machine.reason(), "") << "a wanted end is no crash";
  }
}

TEST(InstanceMachine, StopDuringBackOffOrBeforeLaunchNeverLaunches) {
  InstanceMachine fresh(Readiness::port, 0);
  fresh.want(DesiredState::stop, 0);
  EXPECT_EQ(fresh.state(), InstanceState::stopped);
  EXPECT_EQ(fresh.due(1), Action::none);
  auto machine = running(0);
  machine.exited(1, "exit 1");
  EXPECT_EQ(machine.due(1), Action::remove);
  machine.removed(1);
  machine.want(DesiredState::stop, 2);
  EXPECT_EQ(machine.state(), InstanceState::stopped);
  EXPECT_EQ(machine.due(100'000), Action::none);
}

TEST(InstanceMachine, StopWhileLaunchingTerminatesWhatCame) {
  InstanceMachine machine(Readiness::port, 0);
  EXPECT_EQ(machine.due(0), Action::launch);
  machine.want(DesiredState::stop, 1);
  EXPECT_EQ(machine.due(1), Action::none);
  machine.launched(2);
  EXPECT_EQ(machine.due(2), Action::terminate);
}

TEST(InstanceMachine, FailedLaunchIsRemovedBeforeTheNextTry) {
  InstanceMachine machine(Readiness::port, 0);
  EXPECT_EQ(machine.due(0), Action::launch);
  machine.launchFailed(1, "launch: no layer");
  EXPECT_EQ(machine.due(1), Action::remove) << "the reply may have been lost, not the launch";
  machine.removeFailed(2);
  EXPECT_EQ(machine.due(2 + kRemovePause), Action::remove);
  machine.removed(3000);
  EXPECT_EQ(machine.state(), InstanceState::crashed);
  EXPECT_EQ(machine.wakeAt(), 4000);
}

TEST(InstanceMachine, ResumeAfterStopStartsWithoutBackOff) {
  auto machine = running(0);
  machine.want(DesiredState::stop, 1);
  EXPECT_EQ(machine.due(1), Action::terminate);
  machine.exited(2, "signal 15");
  EXPECT_EQ(machine.due(2), Action::remove);
  machine.removed(3);
  machine.want(DesiredState::run, 10);
  EXPECT_EQ(machine.due(10), Action::launch);
}

TEST(InstanceMachine, AdoptedReadyInstanceStaysRunningAndIsChecked) {
  InstanceMachine machine(Readiness::port, 4);
  machine.adopt(50, InstanceMachine::Known::ready);
  EXPECT_EQ(machine.state(), InstanceState::running);
  EXPECT_EQ(machine.attempt(), 4);
  EXPECT_EQ(machine.due(50), Action::check);
  InstanceMachine ended(Readiness::port, 4);
  ended.adoptEnded(50, "exit 3");
  EXPECT_EQ(ended.due(50), Action::remove);
  ended.removed(51);
  EXPECT_EQ(ended.reason(), "exit 3");
  EXPECT_EQ(ended.wakeAt(), 1051);
}

TEST(InstanceMachine, LateAnswersAreIgnored) {
  auto machine = running(0);
  machine.exited(1, "exit 1");
  machine.healthPassed(2);
  EXPECT_EQ(machine.state(), InstanceState::crashed);
  machine.healthFailed(2, "late");
  EXPECT_EQ(machine.reason(), "exit 1");
  machine.exited(2, "exit 9");
  EXPECT_EQ(machine.reason(), "exit 1");
  machine.launchFailed(2, "late");
  EXPECT_EQ(machine.reason(), "exit 1");
}

}  // namespace
}  // namespace cloister::node
