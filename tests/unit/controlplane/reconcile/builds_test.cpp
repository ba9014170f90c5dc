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
  EXPECT_EQ(ended(back).progress, "waiting for 1 earlier build");
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

TEST_F(BuildReuse, ACancelledBuildIsNeverReleased) {
  node_.holdBuilds = true;
  const auto running = deployTree(std::string(64, 'e'));
  run(1);
  const auto waiting = deployTree(std::string(64, 'f'));
  run(1);
  EXPECT_EQ(ended(running).progress, "building");
  EXPECT_EQ(ended(waiting).progress, "waiting for 1 earlier build");
  for (const auto& build : store_.builds().unfinished()) deployments_.cancelBuild(build.id);
  EXPECT_EQ(ended(running).failure.code, "build_cancelled");
  EXPECT_EQ(ended(waiting).failure.code, "build_cancelled");
  EXPECT_TRUE(service_.work("one").builds.empty()) << "the node is told to stop";
  node_.holdBuilds = false;
  settle();
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 1);
  EXPECT_EQ(newest().state, model::BuildState::cancelled);
  EXPECT_THROW(deployments_.cancelBuild(first_.id), store::Conflict);
}

class BuildSteps : public Reconcile {
 protected:
  // Two steps of a command each, and one command behind them.
  model::Operation deploySteps(const std::string& files, const std::string& tree,
                               model::Reuse reuse = model::Reuse::unchanged) {
    auto wanted = manifest();
    wanted.buildCommands = {first_, "npm ci", "make"};
    const model::BuildStep packages{1, "", store::sha256("")};
    const model::BuildStep npm{1, kSource, store::sha256(files)};
    return deployments_.deploy(app_.id, wanted, kSource, "tk-1", {store::sha256(tree), reuse, {packages, npm}});
  }
  [[nodiscard]] model::Release current() {
    return store_.releases().get(app_.id, store_.apps().byId(app_.id).currentRelease);
  }
  std::string first_ = "apt-get update";
};

TEST_F(BuildSteps, BeginWhereSomethingHasChanged) {
  deploySteps("lock 1", "tree 1");
  settle();
  EXPECT_EQ(node_.doneCommands, 0U);
  const auto one = current();
  ASSERT_EQ(one.layers.size(), 2U);
  const auto running = service_.work("one").instances.at(0).layers;
  EXPECT_EQ(running, (std::vector<std::string>{one.slugDigest, one.layers[0], one.layers[1], kBase}));

  deploySteps("lock 1", "tree 2");
  settle();
  EXPECT_EQ(node_.doneCommands, 2U) << "only what is no step runs";
  EXPECT_EQ(current().layers, one.layers);
  EXPECT_NE(current().slugDigest, one.slugDigest);

  deploySteps("lock 2", "tree 3");
  settle();
  EXPECT_EQ(node_.doneCommands, 1U);
  EXPECT_EQ(current().layers[1], one.layers[1]);
  EXPECT_NE(current().layers[0], one.layers[0]);

  first_ = "apt-get update && apt-get install -y git";
  deploySteps("lock 2", "tree 3");
  settle();
  EXPECT_EQ(node_.doneCommands, 0U) << "a step stands on those before it";

  // All of it again: nothing runs, and the release has the layers too.
  const auto four = current();
  node_.holdBuilds = true;
  deploySteps("lock 2", "tree 3");
  settle();
  EXPECT_EQ(current().version, 5);
  EXPECT_EQ(current().layers, four.layers);
}

TEST_F(BuildSteps, ConfigurationAndBaseAreInputsToo) {
  deploySteps("lock", "tree 1");
  settle();
  deployments_.setConfig(app_.id, {{"REGISTRY", "elsewhere"}}, "tk-1");
  settle();
  deploySteps("lock", "tree 2");
  settle();
  EXPECT_EQ(node_.doneCommands, 0U);
}

TEST_F(BuildSteps, LayersOfAFailedBuildSpareTheNextOne) {
  node_.buildFailure = {"build_failed", "make exited with 2"};
  deploySteps("lock", "tree 1");
  settle();
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 0);
  node_.buildFailure = {};
  deploySteps("lock", "tree 2");
  settle();
  EXPECT_EQ(node_.doneCommands, 2U);
  EXPECT_EQ(current().layers.size(), 2U);
}

TEST_F(BuildSteps, NothingIsReusedWhenAskedOrWhenALayerIsLost) {
  deploySteps("lock", "tree 1");
  settle();
  const auto one = current();
  deploySteps("lock", "tree 2", model::Reuse::nothing);
  settle();
  EXPECT_EQ(node_.doneCommands, 0U);
  EXPECT_NE(current().layers, one.layers);
  goneImages_.insert(current().layers[0]);
  deploySteps("lock", "tree 3");
  settle();
  EXPECT_EQ(node_.doneCommands, 1U);
}

TEST_F(BuildSteps, LayersCountAndTheOldestGoFirst) {
  auto limits = store_.plans().get("small").limits;
  limits.releases = 1;
  limits.imageDiskBytes = 65;
  store_.plans().update("small", limits);
  node_.slugBytes = 1;
  node_.layerBytes = 10;
  std::uint64_t most = 0;
  for (int i = 0; i < 6; ++i) {
    deploySteps("lock " + std::to_string(i), "tree " + std::to_string(i));
    settle();
    std::uint64_t stored = 0;
    for (const auto& [digest, bytes] : store_.images().of(tenant_.id)) stored += bytes;
    most = std::max(most, stored);
    EXPECT_EQ(node_.doneCommands, i == 0 ? 0U : 1U) << i;
  }
  EXPECT_LE(most, 65U);
  deploySteps("lock 0", "tree 9");
  settle();
  EXPECT_EQ(node_.doneCommands, 1U) << "used longest ago";
  deploySteps("lock 5", "tree 9");
  settle();
  EXPECT_EQ(node_.doneCommands, 2U);
  const auto used = store_.releases().digestsInUse();
  for (const auto& layer : current().layers) EXPECT_EQ(std::count(used.begin(), used.end(), layer), 1);
}

}  // namespace
}  // namespace cloister::reconcile
