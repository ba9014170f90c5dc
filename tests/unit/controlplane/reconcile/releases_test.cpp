// A release is whole: image, config and secrets go together, forward and back.
#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

using Values = std::map<std::string, std::string>;

class Releases : public Reconcile {
 protected:
  // What the app's first instance is told to run with, without what Cloister adds.
  [[nodiscard]] Values environment() {
    auto values = service_.work("one").instances.at(0).environment;
    std::erase_if(values, [](const auto& item) { return item.first == "PORT" || item.first.starts_with("CLOISTER_"); });
    return values;
  }
  [[nodiscard]] std::string codeOf(const std::function<void()>& act) {
    try {
      act();
    } catch (const store::Refusal& refusal) {
      return refusal.code() + " " + refusal.field();
    }
    return "";
  }
};

TEST_F(Releases, ARefusedSecretIsNotInForceAfterARestart) {
  deployments_.setSecrets(app_.id, {{"KEY", "good"}}, "tk-1");
  deploy();
  settle();
  node_.broken = {2};
  const auto refused = deployments_.setSecrets(app_.id, {{"KEY", "bad"}, {"MORE", "bad"}}, "tk-1");
  settle();
  EXPECT_EQ(ended(refused).state, OperationState::failed);
  EXPECT_EQ(store_.releases().get(app_.id, 2).state, model::ReleaseState::refused);
  EXPECT_EQ(environment(), (Values{{"KEY", "good"}})) << "what a node gets that forgot all";
  deployments_.scale(app_.id, {{"web", 2}});
  settle();
  for (const auto& instance : service_.work("one").instances) EXPECT_EQ(instance.environment.at("KEY"), "good");
  node_.broken = {};
  deployments_.restart(app_.id, "tk-1");
  settle();
  EXPECT_EQ(environment(), (Values{{"KEY", "good"}}));
  EXPECT_EQ(live(3), 2U);
}

TEST_F(Releases, ARefusedConfigIsNotInForceForTheNextChange) {
  deployments_.setConfig(app_.id, {{"A", "good"}}, "tk-1");
  deploy();
  settle();
  node_.broken = {2};
  deployments_.setConfig(app_.id, {{"A", "bad"}}, "tk-1");
  settle();
  deployments_.setConfig(app_.id, {{"B", "1"}}, "tk-1");
  settle();
  EXPECT_EQ(environment(), (Values{{"A", "good"}, {"B", "1"}}));
}

TEST_F(Releases, RollbackBringsTheSecretsBack) {
  deployments_.setSecrets(app_.id, {{"KEY", "one"}, {"GONE", "back"}}, "tk-1");
  deploy();
  settle();
  deployments_.setSecrets(app_.id, {{"KEY", "two"}, {"GONE", std::nullopt}}, "tk-1");
  settle();
  EXPECT_EQ(environment(), (Values{{"KEY", "two"}}));
  const auto back = deployments_.rollback(app_.id, std::nullopt, "tk-1");
  settle();
  EXPECT_EQ(ended(back).result, "v3");
  EXPECT_EQ(environment(), (Values{{"KEY", "one"}, {"GONE", "back"}}));
}

TEST_F(Releases, ARollbackThatIsRefusedChangesNothing) {
  deployments_.setSecrets(app_.id, {{"KEY", "one"}}, "tk-1");
  deploy();
  settle();
  deployments_.setSecrets(app_.id, {{"KEY", "two"}}, "tk-1");
  settle();
  node_.broken = {3};
  deployments_.rollback(app_.id, std::nullopt, "tk-1");
  settle();
  EXPECT_EQ(environment(), (Values{{"KEY", "two"}}));
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 2);
}

TEST_F(Releases, RollbackPassesOverWhatWasRefusedAndWhatIsTheSame) {
  deploy();
  settle();
  deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");  // v2
  settle();
  node_.broken = {3};
  deployments_.setConfig(app_.id, {{"A", "bad"}}, "tk-1");
  settle();
  deployments_.restart(app_.id, "tk-1");  // v4, like v2
  settle();
  deployments_.rollback(app_.id, std::nullopt, "tk-1");
  settle();
  EXPECT_EQ(store_.releases().get(app_.id, 5).description, "rollback to v1");
}

TEST_F(Releases, OneNameIsNotTakenOverByTheOtherSide) {
  deployments_.setConfig(app_.id, {{"OPEN", "1"}}, "tk-1");
  deployments_.setSecrets(app_.id, {{"HIDDEN", "2"}}, "tk-1");
  for (int deployed = 0; deployed < 2; ++deployed) {
    EXPECT_EQ(codeOf([&] { deployments_.setConfig(app_.id, {{"HIDDEN", "x"}}, "tk-1"); }), "name_is_secret HIDDEN");
    EXPECT_EQ(codeOf([&] {
                deployments_.setConfig(app_.id, {{"HIDDEN", std::nullopt}}, "tk-1");
              }),
              "name_is_secret HIDDEN");
    EXPECT_EQ(codeOf([&] { deployments_.setSecrets(app_.id, {{"OPEN", "x"}}, "tk-1"); }), "name_is_config OPEN");
    EXPECT_EQ(codeOf([&] {
                deployments_.setSecrets(app_.id, {{"OPEN", std::nullopt}}, "tk-1");
              }),
              "name_is_config OPEN");
    deploy();
    settle();
    EXPECT_EQ(environment(), (Values{{"OPEN", "1"}, {"HIDDEN", "2"}}));
  }
}

TEST_F(Releases, AChangeThatChangesNothingMakesNoRelease) {
  deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  deployments_.setSecrets(app_.id, {{"KEY", "1"}}, "tk-1");
  deploy();
  settle();
  EXPECT_EQ(deployments_.setConfig(app_.id, {{"A", "1"}, {"B", std::nullopt}}, "tk-1").state,
            OperationState::succeeded);
  EXPECT_EQ(deployments_.setSecrets(app_.id, {{"KEY", "1"}}, "tk-1").state, OperationState::succeeded);
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 1);
}

TEST_F(Releases, ChangesOnTheWayTogetherAllLiveOn) {
  deploy();
  settle();
  node_.slow = {2, 3};
  const auto config = deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  run(1);
  const auto secret = deployments_.setSecrets(app_.id, {{"KEY", "2"}}, "tk-1");
  run(1);
  const auto code = deploy();
  settle();
  EXPECT_EQ(environment(), (Values{{"A", "1"}, {"KEY", "2"}}));
  for (const auto& operation : {config, secret, code}) EXPECT_EQ(ended(operation).result, "v4");
  EXPECT_EQ(store_.releases().get(app_.id, 2).state, model::ReleaseState::superseded);
  EXPECT_EQ(store_.releases().get(app_.id, 4).state, model::ReleaseState::released);
}

TEST_F(Releases, AFirstReleaseThatIsRefusedGivesBackWhatWasSetBeforeIt) {
  deployments_.setConfig(app_.id, {{"A", "1"}}, "tk-1");
  deployments_.setSecrets(app_.id, {{"KEY", "2"}}, "tk-1");
  node_.broken = {1};
  deploy();
  settle();
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 0);
  EXPECT_EQ(store_.environments().values(app_.id, 0), (Values{{"A", "1"}, {"KEY", "2"}}));
  deploy();
  settle();
  EXPECT_EQ(environment(), (Values{{"A", "1"}, {"KEY", "2"}}));
  EXPECT_TRUE(store_.environments().values(app_.id, 0).empty()) << "no second copy of a secret";
}

TEST_F(Releases, RefusesVariablesThatNobodyMayHave) {
  for (const char* name : {"", "PORT", "CLOISTER_APP", "1A", "A-B", "A=B", "A B"}) {
    EXPECT_THROW(deployments_.setConfig(app_.id, {{name, "x"}}, "tk-1"), store::Invalid) << name;
  }
  EXPECT_THROW(deployments_.setConfig(app_.id, {{"A", std::string("a\0b", 3)}}, "tk-1"), store::Invalid);
  EXPECT_THROW(deployments_.setConfig(app_.id, {{"A", std::string(33'000, 'x')}}, "tk-1"), store::Invalid);
}

}  // namespace
}  // namespace cloister::reconcile
