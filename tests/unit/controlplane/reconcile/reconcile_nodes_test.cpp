#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

TEST_F(Reconcile, ASilentNodeStopsNothing) {
  deploy();
  settle();
  const auto before = service_.work("one").instances.size();
  for (int i = 0; i < 200; ++i) {
    reconciler_.step(now_);
    now_ += 1'000'000;
  }
  EXPECT_EQ(store_.nodes().get("one").state, model::NodeState::down);
  EXPECT_EQ(live_.at(kHost).backends.size(), 1U);
  EXPECT_EQ(service_.work("one").instances.size(), before);
  EXPECT_EQ(service_.work("one").instances[0].desired, model::DesiredState::run);
  node_.sync();
  EXPECT_EQ(store_.nodes().get("one").state, model::NodeState::ready);
}

TEST_F(Reconcile, WithoutAReadyNodeTheOldReleaseKeepsServing) {
  deploy();
  settle();
  store_.nodes().setState("one", model::NodeState::cordoned);
  const auto operation = deployments_.restart(app_.id, "tk-1");
  settle();
  EXPECT_EQ(ended(operation).progress, "waiting for a node");
  EXPECT_EQ(live_.at(kHost).backends.size(), 1U);
  EXPECT_EQ(live(1), 1U);
  store_.nodes().setState("one", model::NodeState::ready);
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded);
}

TEST_F(Reconcile, AnInstanceThatTheNodeForgotIsGoneOnlyAfterItSawTheOrder) {
  deploy();
  settle();
  deployments_.suspend(tenant_.id);
  reconciler_.step(now_);
  reconciler_.step(now_);
  const auto record = store_.instances().all().at(0);
  ASSERT_EQ(record.instance.desired, model::DesiredState::stop);
  model::NodeStatus status;
  status.nodeId = "one";
  status.observedRevision = record.stopRevision - 1;
  service_.apply(status);
  EXPECT_EQ(store_.instances().all().size(), 1U) << "an old report proves nothing";
  status.observedRevision = record.stopRevision;
  service_.apply(status);
  EXPECT_TRUE(store_.instances().all().empty());
}

TEST_F(Reconcile, AReportThatCannotBeReadFailsAloneAndIsToldOnce) {
  deploy();
  settle();
  deployments_.suspend(tenant_.id);
  reconciler_.step(now_);
  reconciler_.step(now_);
  const auto record = store_.instances().all().at(0);
  const auto events = [&] {
    std::size_t count = 0;
    for (const auto& event : store_.events().list("", "", {"", 1000}))
      count += event.kind == "node.item_refused" ? 1U : 0U;
    return count;
  };
  model::NodeStatus status;
  status.nodeId = "one";
  status.observedRevision = record.stopRevision;
  status.refused = {{"instances", record.instance.id, "", "instances[0].state has an unknown value"}};
  service_.apply(status);
  service_.apply(status);
  EXPECT_EQ(store_.instances().all().size(), 1U) << "what it says of the instance is not known";
  EXPECT_EQ(events(), 1U);
  status.refused = {{"instances", "", "", "instances[0] is not an object"}};
  service_.apply(status);
  EXPECT_EQ(store_.instances().all().size(), 1U);
  status.refused.clear();
  service_.apply(status);
  EXPECT_TRUE(store_.instances().all().empty());
}

TEST_F(Reconcile, AnotherNodeCannotSpeakForAnInstance) {
  deploy();
  settle();
  const auto id = store_.instances().all().at(0).instance.id;
  model::NodeStatus status;
  status.nodeId = "two";
  status.observedRevision = 1'000'000;
  status.instances = {{id, InstanceState::crashed, 9, "lies", 0}};
  service_.apply(status);
  EXPECT_EQ(store_.instances().get(id).instance.state, InstanceState::running);
}

TEST_F(Reconcile, ANodesKeysAreKeptAlsoWhenItLostThem) {
  model::NodeStatus status;
  status.nodeId = "two";
  for (const std::string& key :
       {std::string(), std::string(64, 'a'), std::string(64, 'a'), std::string(64, 'b'), std::string("bad")}) {
    status.signingKey = key;
    service_.apply(status);
  }
  const auto keys = store_.nodes().keys("two");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].publicKey, std::string(64, 'a'));
  EXPECT_EQ(keys[1].publicKey, std::string(64, 'b'));
  EXPECT_LE(keys[0].since, keys[1].since);
  EXPECT_TRUE(store_.nodes().keys("three").empty());
  store_.nodes().remove("two");
  EXPECT_EQ(store_.nodes().keys().size(), 2U) << "statements of past months need them";
}

}  // namespace
}  // namespace cloister::reconcile
