#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

TEST_F(Reconcile, DeploysFromSourceToRoute) {
  deployments_.setSecrets(app_.id, {{"KEY", "value"}}, "tk-1");
  const auto operation = deploy();
  EXPECT_EQ(operation.state, OperationState::pending);
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded) << ended(operation).failure.detail;
  EXPECT_EQ(ended(operation).result, "v1");
  ASSERT_EQ(live_.at(kHost).backends.size(), 1U);
  EXPECT_EQ(live_.at(kHost).backends[0].port, kAppPort);
  const auto work = service_.work("one");
  EXPECT_TRUE(work.certified);
  ASSERT_EQ(work.instances.size(), 1U);
  const auto& instance = work.instances[0];
  EXPECT_EQ(instance.layers[1], kBase);
  EXPECT_EQ(instance.command, "./serve");
  EXPECT_EQ(instance.healthHost, kHost);
  EXPECT_EQ(instance.environment.at("PORT"), "8080");
  EXPECT_EQ(instance.environment.at("CLOISTER_RELEASE"), "v1");
  EXPECT_EQ(instance.environment.at("KEY"), "value");
  EXPECT_EQ(instance.limits.memoryBytes, 64ULL << 20U);
  EXPECT_EQ(instance.limits.inodes, 100'000U / 16);
  EXPECT_NE(std::find(work.keepBlobs.begin(), work.keepBlobs.end(), kBase), work.keepBlobs.end());
}

TEST_F(Reconcile, DoesNothingWhenAllIsWell) {
  deploy();
  settle();
  const auto revision = store_.revision();
  const auto changes = store_.changes();
  for (int i = 0; i < 5; ++i) reconciler_.step(now_);
  EXPECT_EQ(store_.revision(), revision);
  EXPECT_EQ(store_.changes(), changes) << "a step without news must not wake the loop again";
}

TEST_F(Reconcile, ReplacesAReleaseWithoutAGap) {
  deploy();
  settle();
  deployments_.scale(app_.id, {{"web", 3}});
  settle();
  ASSERT_EQ(live_.at(kHost).backends.size(), 3U);
  std::size_t fewest = 99;
  watch = [&] { fewest = std::min(fewest, live_.at(kHost).backends.size()); };
  node_.highest = 0;
  const auto operation = deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
  EXPECT_EQ(fewest, 3U) << "never fewer than wanted";
  EXPECT_LE(node_.highest, 4U) << "never more than the plan";
  EXPECT_EQ(live(1), 0U);
  EXPECT_EQ(live(2), 3U);
  EXPECT_EQ(service_.work("one").instances[0].environment.at("A"), "1");
}

TEST_F(Reconcile, AnOldInstanceLeavesTheMapBeforeItIsStopped) {
  deploy();
  settle();
  const auto first = service_.work("one").instances[0];
  deployments_.restart(app_.id, "tk-1");
  bool sawDraining = false;
  watch = [&] {
    const auto& routed = live_.at(kHost).backends;
    const bool inMap =
        std::any_of(routed.begin(), routed.end(), [&](const auto& b) { return b.address == first.address; });
    for (const auto& instance : service_.work("one").instances) {
      if (instance.id != first.id) continue;
      EXPECT_FALSE(inMap && instance.desired == model::DesiredState::stop);
      sawDraining = sawDraining || (instance.draining && instance.desired == model::DesiredState::run);
    }
  };
  settle();
  EXPECT_TRUE(sawDraining);
  EXPECT_EQ(live(1), 0U);
}

TEST_F(Reconcile, KeepsTheOldInstancesWhileTheEdgeDoesNotAnswer) {
  deploy();
  settle();
  edgeUp_ = false;
  const auto operation = deployments_.restart(app_.id, "tk-1");
  run(30);
  for (const auto& instance : service_.work("one").instances) EXPECT_EQ(instance.desired, model::DesiredState::run);
  EXPECT_NE(ended(operation).state, OperationState::succeeded);
  edgeUp_ = true;
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
  EXPECT_EQ(live(1), 0U);
}

TEST_F(Reconcile, GoesBackWhenANewReleaseDoesNotComeUp) {
  deploy();
  settle();
  node_.broken = {2};
  std::size_t fewest = 99;
  watch = [&] { fewest = std::min(fewest, live_.at(kHost).backends.size()); };
  const auto operation = deployments_.setConfig(app_.id, {{"BAD", "1"}}, "tk-1");
  settle();
  const auto end = ended(operation);
  EXPECT_EQ(end.state, OperationState::failed);
  EXPECT_EQ(end.failure.code, "release_failed");
  EXPECT_NE(end.failure.detail.find("exit 1"), std::string::npos) << end.failure.detail;
  EXPECT_EQ(fewest, 1U);
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 1);
  EXPECT_EQ(live(2), 0U);
  EXPECT_EQ(live(1), 1U);
}

TEST_F(Reconcile, GivesUpAReleaseThatIsNeverReady) {
  node_.slow = {1};
  const auto operation = deploy();
  run(10);
  EXPECT_EQ(ended(operation).state, OperationState::running);
  now_ += 150'000'000;
  settle();
  EXPECT_EQ(ended(operation).failure.code, "release_failed");
  EXPECT_EQ(live(1), 0U);
  EXPECT_TRUE(live_.at(kHost).backends.empty()) << "known, with nobody to serve";
}

TEST_F(Reconcile, FailsTheDeployWithTheBuildsReason) {
  struct Case {
    const char* reported;
    const char* told;
  };
  for (const auto& [reported, told] :
       {Case{"build_failed", "build_failed"}, Case{"build_timeout", "build_timeout"},
        Case{"build_out_of_memory", "build_out_of_memory"}, Case{"build_disk_full", "build_disk_full"},
        Case{"build_pids_limit", "build_pids_limit"}, Case{"made_up", "build_failed"}}) {
    node_.buildFailure = {reported, "the detail"};
    const auto operation = deploy();
    run(2);
    EXPECT_EQ(ended(operation).failure.code, told);
    EXPECT_EQ(ended(operation).failure.detail, "the detail");
  }
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 0);
  EXPECT_TRUE(store_.releases().list(app_.id).empty());
}

TEST_F(Reconcile, BuildsOneAtATimeAndTenant) {
  node_.holdBuilds = true;
  deploy();
  const auto second = deploy();
  run(2);
  EXPECT_EQ(service_.work("one").builds.size(), 1U);
  node_.holdBuilds = false;
  settle();
  EXPECT_EQ(ended(second).result, "v2");
  for (int i = 0; i < 10; ++i) {
    node_.holdBuilds = true;
    deploy();
  }
  EXPECT_THROW(deploy(), store::Refusal);
}

TEST_F(Reconcile, RefusesMoreThanThePlan) {
  EXPECT_THROW(deploy(2ULL << 30U), store::QuotaExceeded) << "an instance above the plan's memory";
  deploy(300ULL << 20U);
  settle();
  try {
    deployments_.scale(app_.id, {{"web", 4}});
    FAIL();
  } catch (const store::QuotaExceeded& quota) {
    EXPECT_EQ(quota.limit(), "memoryBytes");
    EXPECT_EQ(quota.field(), "formation.web");
  }
  EXPECT_THROW(deployments_.scale(app_.id, {{"web", 5}}), store::QuotaExceeded);
  EXPECT_THROW(deployments_.scale(app_.id, {{"web", -1}}), store::Invalid);
  EXPECT_THROW(deployments_.scale(app_.id, {{"cron", 1}}), store::Invalid);
  EXPECT_EQ(store_.apps().byId(app_.id).formation.at("web"), 1) << "a refusal leaves nothing";
  // What one app holds, another cannot have.
  const auto other = store_.apps().create(tenant_.id, "other");
  EXPECT_THROW(deployments_.deploy(other.id, manifest(800ULL << 20U), kSource, "tk-1"), store::QuotaExceeded);
}

TEST_F(Reconcile, RollsOutOneByOneWhenThereIsNoRoomForMore) {
  deploy(512ULL << 20U);
  settle();
  deployments_.scale(app_.id, {{"web", 2}});
  settle();
  node_.highest = 0;
  std::size_t fewest = 99;
  watch = [&] { fewest = std::min(fewest, live_.at(kHost).backends.size()); };
  const auto operation = deployments_.restart(app_.id, "tk-1");
  run(60);
  EXPECT_EQ(ended(operation).state, OperationState::succeeded) << ended(operation).progress;
  EXPECT_LE(node_.highest, 2U);
  EXPECT_EQ(fewest, 1U);
  EXPECT_EQ(live(2), 2U);
}

TEST_F(Reconcile, RollsBackToCodeAndConfig) {
  deploy();
  settle();
  deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  settle();
  const auto operation = deployments_.rollback(app_.id, std::nullopt, "tk-1");
  settle();
  EXPECT_EQ(ended(operation).result, "v3");
  EXPECT_EQ(store_.releases().get(app_.id, 3).description, "rollback to v1");
  EXPECT_FALSE(service_.work("one").instances[0].environment.contains("A"));
  EXPECT_THROW(deployments_.rollback(app_.id, 9, "tk-1"), store::NotFound);
}

TEST_F(Reconcile, SuspendsAndResumes) {
  deploy();
  settle();
  deployments_.suspend(tenant_.id);
  settle();
  EXPECT_TRUE(store_.instances().all().empty());
  EXPECT_TRUE(live_.at(kHost).backends.empty());
  EXPECT_EQ(service_.work("one").tenants[0].state, model::TenantState::suspended);
  EXPECT_THROW(deploy(), store::Conflict);
  EXPECT_EQ(store_.releases().list(app_.id).size(), 1U) << "data stays";
  deployments_.resume(tenant_.id);
  settle();
  EXPECT_EQ(live_.at(kHost).backends.size(), 1U);
}

TEST_F(Reconcile, RemovesAppsAndTenants) {
  deploy();
  settle();
  store_.tokens().create("t", model::Scope::tenant, tenant_.id);
  node_.holdBuilds = true;
  const auto pending = deploy();
  run(2);
  const auto operation = deployments_.removeTenant(tenant_.id);
  EXPECT_EQ(deployments_.removeTenant(tenant_.id).id, operation.id) << "asked twice, done once";
  EXPECT_EQ(ended(pending).failure.code, "app_removed");
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
  EXPECT_FALSE(store_.tenants().find("demo"));
  EXPECT_TRUE(service_.work("one").tenants.empty());
  EXPECT_TRUE(service_.work("one").builds.empty());
  EXPECT_TRUE(live_.empty());
  const auto next = store_.tenants().create("demo", "small");
  EXPECT_NE(next.index, tenant_.index);
}

TEST_F(Reconcile, NobodyTakesOverANeighboursHostName) {
  deploy();
  settle();
  store_.plans().create("other", store_.plans().get("small").limits);
  const auto thief = store_.tenants().create("thief", "other");
  const auto app = store_.apps().create(thief.id, "x");
  store_.domains().add(kHost, app.id);
  store_.domains().add("shop.example.com", app_.id);
  reconciler_.step(now_);
  EXPECT_EQ(live_.at(kHost).backends.size(), 1U);
  EXPECT_EQ(live_.at("shop.example.com").backends, live_.at(kHost).backends);
  EXPECT_EQ(live_.at("shop.example.com").app, live_.at(kHost).app) << "counted as one";
}

TEST_F(Reconcile, OneOffRunsAreChargedAndGivenBack) {
  EXPECT_THROW(deployments_.openRun(app_.id), store::Conflict);
  deploy();
  settle();
  const auto run = deployments_.openRun(app_.id);
  EXPECT_EQ(run.layers.size(), 2U);
  EXPECT_NE(run.address, 0U);
  EXPECT_EQ(service_.work("one").instances.size(), 1U);
  EXPECT_EQ(store_.instances().use(tenant_.id).instances, 2U);
  settle();
  EXPECT_EQ(live_.at(kHost).backends.size(), 1U);
  deployments_.closeRun(run.id);
  deployments_.closeRun(run.id);
  EXPECT_EQ(store_.instances().use(tenant_.id).instances, 1U);
  deployments_.openRun(app_.id);
  const Deployments restarted(store_, {});
  EXPECT_EQ(store_.instances().use(tenant_.id).instances, 1U) << "its session died with the process";
}

TEST_F(Reconcile, ASupersededDeploySaysSo) {
  node_.slow = {1};
  const auto first = deploy();
  run(3);
  const auto second = deploy();
  settle();
  EXPECT_EQ(ended(first).failure.code, "superseded");
  EXPECT_EQ(ended(second).result, "v2");
  EXPECT_EQ(live(1), 0U);
}

TEST_F(Reconcile, TheLoopStepsOnChangesAndStops) {
  Loop loop(store_, reconciler_);
  const auto operation = deploy();
  for (int i = 0; i < 200 && ended(operation).state != OperationState::succeeded; ++i) {
    node_.sync();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
  loop.stop();
}

}  // namespace
}  // namespace cloister::reconcile
