// Which builds run, and which take over what an earlier one has made.
#include <gtest/gtest.h>

#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

const std::string kTree(64, 'd');

class BuildReuse : public Reconcile {
 protected:
  model::Operation deployTree(const std::string& tree, model::Reuse reuse = model::Reuse::unchanged) {
    return deployments_.deploy(app_.id, manifest(), kSource, "tk-1", {tree, reuse});
  }
  [[nodiscard]] model::Build newest() { return store_.builds().list(app_.id, {"", 1}).at(0); }
  // The slug of the release that serves.
  [[nodiscard]] std::string served() {
    return store_.releases().get(app_.id, store_.apps().byId(app_.id).currentRelease).slugDigest;
  }

  void SetUp() override {
    Reconcile::SetUp();
    deployTree(kTree);
    settle();
    first_ = newest();
    ASSERT_EQ(first_.state, model::BuildState::succeeded);
    ASSERT_EQ(first_.reused, "");
  }

  model::Build first_;
};

TEST_F(BuildReuse, TheSameInputsBuildNothingAgain) {
  node_.holdBuilds = true;  // a build that reached the node would never end
  const auto operation = deployTree(kTree);
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::succeeded) << ended(operation).progress;
  EXPECT_EQ(ended(operation).result, "v2");
  EXPECT_EQ(newest().reused, first_.id);
  EXPECT_EQ(newest().slugDigest, first_.slugDigest);
  EXPECT_EQ(served(), first_.slugDigest);
  EXPECT_EQ(live(2), 1U);
  // The third names the build that ran, not the one that took over.
  deployTree(kTree);
  settle();
  EXPECT_EQ(newest().reused, first_.id);
}

TEST_F(BuildReuse, AnythingThatACommandSeesBuildsAgain) {
  struct Case {
    const char* what;
    std::function<void()> deploy;
  };
  const auto withCommand = [&] {
    auto changed = manifest();
    changed.buildCommands = {"make all"};
    deployments_.deploy(app_.id, changed, kSource, "tk-1", {kTree, model::Reuse::unchanged});
  };
  const auto withConfig = [&] {
    deployments_.setConfig(app_.id, {{"MODE", "fast"}}, "tk-1");
    settle();
    deployTree(kTree);
  };
  for (const auto& [what, deploy] :
       {Case{"another source", [&] { deployTree(std::string(64, 'e')); }}, Case{"another command", withCommand},
        Case{"another variable", withConfig}, Case{"asked to", [&] { deployTree(kTree, model::Reuse::nothing); }},
        Case{"a source that is not known", [&] { deployTree(""); }}}) {
    deploy();
    settle();
    EXPECT_EQ(newest().state, model::BuildState::succeeded) << what;
    EXPECT_EQ(newest().reused, "") << what;
    EXPECT_NE(newest().slugDigest, first_.slugDigest) << what;
  }
}

TEST_F(BuildReuse, WhatIsNoPartOfABuildDoesNotMatter) {
  node_.holdBuilds = true;
  auto changed = manifest(32ULL << 20U);
  changed.processes["web"] = "./serve --fast";
  deployments_.deploy(app_.id, changed, kSource, "tk-1", {kTree, model::Reuse::unchanged});
  settle();
  EXPECT_EQ(newest().reused, first_.id);
  EXPECT_EQ(service_.work("one").instances[0].command, "./serve --fast");
}

TEST_F(BuildReuse, AnImageThatIsGoneIsBuiltAgain) {
  goneImages_.insert(first_.slugDigest);
  deployTree(kTree);
  settle();
  EXPECT_EQ(newest().state, model::BuildState::succeeded);
  EXPECT_EQ(newest().reused, "");
}

TEST_F(BuildReuse, TheLastSourceAskedForIsTheOneThatRuns) {
  node_.holdBuilds = true;
  const auto other = deployTree(std::string(64, 'e'));
  run(2);
  const auto back = deployTree(kTree);
  run(2);
  EXPECT_EQ(ended(back).state, OperationState::pending) << "an earlier one is still being built";
  node_.holdBuilds = false;
  settle();
  EXPECT_EQ(ended(back).state, OperationState::succeeded);
  EXPECT_EQ(newest().reused, first_.id);
  EXPECT_EQ(served(), first_.slugDigest);
  EXPECT_NE(ended(other).state, OperationState::pending);
}

TEST_F(BuildReuse, ABuildWhoseCallsAreLearnedRuns) {
  deployments_.setCallProfile(app_.id, {.mode = model::CallMode::learn}, "tk-1");
  settle();
  deployTree(kTree);
  settle();
  EXPECT_EQ(newest().reused, "");
}

}  // namespace
}  // namespace cloister::reconcile
