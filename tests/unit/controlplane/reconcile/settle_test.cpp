// A release takes over once it has stayed ready, and goes back to the one before it when it does not.
#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

constexpr std::uint64_t kMost = 700ULL << 20U;  // of a plan of 1 GiB: there is no room for two

class Settle : public Reconcile {
 protected:
  model::Operation deploySettling(std::int64_t millis, std::uint64_t memory = 64ULL << 20U) {
    auto asked = manifest(memory);
    asked.settleMillis = millis;
    return deployments_.deploy(app_.id, asked, kSource, "tk-1");
  }
  [[nodiscard]] bool routed(std::int64_t release) {
    for (const auto& record : store_.instances().ofApp(app_.id)) {
      if (record.instance.release != release) continue;
      for (const auto& backend : live_[kHost].backends) {
        if (backend.address == record.instance.address) return true;
      }
    }
    return false;
  }
  void tickUntilRefused(std::int64_t release) {
    for (int i = 0; i < 400; ++i) {
      tick();
      const auto found = store_.releases().find(app_.id, release);
      if (found && found->state == model::ReleaseState::refused) return;
    }
    FAIL() << "it was not refused";
  }
  [[nodiscard]] std::string detailOf(const model::Operation& operation) { return ended(operation).failure.detail; }
};

TEST_F(Settle, ADeployIsDoneWhenItsInstanceStayedReady) {
  const auto operation = deploySettling(10'000);
  run(8);
  EXPECT_EQ(ended(operation).state, OperationState::running);
  EXPECT_EQ(ended(operation).progress, "1 of 1 instance ready, to stay so for 10 s");
  EXPECT_TRUE(routed(1)) << "a first release serves as soon as it is ready";
  run(4);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
}

TEST_F(Settle, TheOldOneServesAloneUntilTheNewOneHasSettled) {
  deploySettling(0);
  settle();
  deploySettling(10'000);
  run(8);
  EXPECT_EQ(live(1), 1U);
  EXPECT_EQ(live(2), 1U);
  EXPECT_TRUE(routed(1));
  EXPECT_FALSE(routed(2)) << "nobody's request is left to what may crash";
  settle();
  EXPECT_EQ(live(1), 0U);
  EXPECT_TRUE(routed(2));
}

TEST_F(Settle, WhatCrashesAfterItWasReadyNeverReplacesWhatServes) {
  deploySettling(0);
  settle();
  node_.flapping = {2};
  bool alwaysServed = true;
  watch = [&] { alwaysServed = alwaysServed && routed(1) && !routed(2); };
  const auto operation = deploySettling(10'000);
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::failed);
  EXPECT_EQ(ended(operation).failure.code, "release_failed");
  EXPECT_EQ(detailOf(operation),
            "v2 was refused: web: ended with exit code 3 (3 restarts); v1 still serves (1 of 1 instance ready)");
  EXPECT_FALSE(ended(operation).failure.instance.empty());
  EXPECT_TRUE(alwaysServed);
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 1);
  EXPECT_EQ(store_.releases().get(app_.id, 2).state, model::ReleaseState::refused);
}

TEST_F(Settle, ARestartBetweenTwoReportsBeginsTheSettleTimeAnew) {
  const auto operation = deploySettling(10'000);
  run(8);
  node_.restartsWhileReady = 1;
  run(8);
  EXPECT_EQ(ended(operation).state, OperationState::running);
  run(4);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
}

TEST_F(Settle, OneThatSettledVouchesForTheOthers) {
  deploySettling(0);
  settle();
  deployments_.scale(app_.id, {{"web", 3}});
  settle();
  deploySettling(10'000);
  run(32);
  EXPECT_EQ(live(1), 0U) << "draining takes its time, but nobody waits 10 seconds for each";
  run(10);
  EXPECT_EQ(store_.releases().get(app_.id, 2).state, model::ReleaseState::released);
}

TEST_F(Settle, WhatTheReleaseBeforeRanNeedNotShowItAgain) {
  deploySettling(10'000);
  settle();
  const auto operation = deployments_.restart(app_.id, "tk-1");
  run(10);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
  EXPECT_TRUE(routed(2));
}

TEST_F(Settle, ScaledUpInstancesServeAsSoonAsTheyAreReady) {
  deploySettling(10'000);
  settle();
  const auto operation = deployments_.scale(app_.id, {{"web", 2}});
  run(2);
  EXPECT_EQ(live_[kHost].backends.size(), 2U);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
}

TEST_F(Settle, TheHostsDefaultIsForManifestsThatNameNone) {
  Reconciler careful(store_, {.settle = 5'000'000}, [](const edge::Routes&) { return true; });
  const auto operation = deploySettling(-1);
  for (int i = 0; i < 16; ++i) {
    node_.sync();
    careful.step(now_);
    now_ += 250'000;
  }
  EXPECT_EQ(ended(operation).state, OperationState::running);
  now_ += 5'000'000;
  careful.step(now_);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
}

TEST_F(Settle, WithoutRoomForTwoTheCallerIsToldThatItStopsFirst) {
  EXPECT_TRUE(ended(deploySettling(0, kMost)).notice.empty()) << "nothing runs that could stop";
  settle();
  const auto operation = deploySettling(0, kMost);
  EXPECT_EQ(operation.notice.find("web stops before the new release starts, for there is no room"), 0U)
      << operation.notice;
  EXPECT_EQ(ended(operation).notice, operation.notice);
  run(60);
  const auto changed = deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  EXPECT_FALSE(changed.notice.empty());
  run(60);
  EXPECT_TRUE(ended(deploySettling(0)).notice.empty()) << "a small one has room";
}

TEST_F(Settle, WhatStoppedFirstIsBroughtBackBeforeTheFailureIsTold) {
  deploySettling(0, kMost);
  settle();
  node_.broken = {2};
  const auto operation = deploySettling(0, kMost);
  tickUntilRefused(2);
  EXPECT_EQ(ended(operation).state, OperationState::running) << "v1 is not there again";
  run(30);
  EXPECT_EQ(detailOf(operation),
            "v2 was refused: web: exit 1 (3 restarts); v1 was started again and serves (1 of 1 instance ready)");
  EXPECT_TRUE(routed(1));
}

TEST_F(Settle, SaysWhenTheReleaseBeforeDoesNotServeEither) {
  deploySettling(0, kMost);
  settle();
  node_.broken = {1, 2};
  const auto operation = deploySettling(0, kMost);
  run(90);
  EXPECT_EQ(detailOf(operation),
            "v2 was refused: web: exit 1 (3 restarts); v1 does not serve (0 of 1 instance ready): web: exit 1 (3 "
            "restarts)");
}

TEST_F(Settle, AFirstReleaseThatIsRefusedLeavesNothingToGoBackTo) {
  node_.broken = {1};
  const auto operation = deploySettling(0);
  settle();
  EXPECT_EQ(detailOf(operation),
            "v1 was refused: web: exit 1 (3 restarts); there is no release before it, so nothing serves");
}

TEST_F(Settle, ANewReleaseDoesNotWaitForTheWayBack) {
  deploySettling(0, kMost);
  settle();
  node_.broken = {2};
  node_.slow = {1};
  const auto refused = deploySettling(0, kMost);
  tickUntilRefused(2);
  const auto next = deploySettling(0, kMost);
  run(60);
  EXPECT_EQ(detailOf(refused), "v2 was refused: web: exit 1 (3 restarts); v3 takes its place");
  EXPECT_EQ(ended(next).result, "v3");
}

TEST_F(Settle, ASurgeStartsTheNewOneBesideTheOld) {
  auto limits = store_.plans().get("small").limits;
  limits.surgePercent = 100;
  store_.plans().update("small", limits);
  deploySettling(0, kMost);
  settle();
  const auto tenantMemory = [&] { return service_.work("one").tenants.at(0).limits.memoryBytes; };
  EXPECT_EQ(tenantMemory(), 1ULL << 30U);
  std::size_t fewest = 99;
  std::uint64_t highest = 0;
  watch = [&] {
    fewest = std::min(fewest, live_.at(kHost).backends.size());
    highest = std::max(highest, tenantMemory());
  };
  const auto operation = deploySettling(1'000, kMost);
  EXPECT_TRUE(operation.notice.empty());
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded) << ended(operation).progress;
  EXPECT_EQ(fewest, 1U) << "it served all the while";
  EXPECT_EQ(highest, 2 * kMost) << "the group held both";
  EXPECT_EQ(tenantMemory(), 1ULL << 30U) << "and not for longer";
  EXPECT_THROW(deployments_.scale(app_.id, {{"web", 2}}), store::QuotaExceeded) << "it is for rollouts alone";
}

}  // namespace
}  // namespace cloister::reconcile
