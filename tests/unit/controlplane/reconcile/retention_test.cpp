// Which releases keep their image, and that a tenant's images stay within its plan.
#include "controlplane/reconcile/retention.h"

#include <gtest/gtest.h>

#include "tests/unit/controlplane/reconcile/reconcile_fixture.h"

namespace cloister::reconcile {
namespace {

constexpr std::uint64_t kMiB = 1ULL << 20U;

class Retention : public Reconcile {
 protected:
  void SetUp() override {
    Reconcile::SetUp();
    node_.slugBytes = 10 * kMiB;
  }
  void plan(std::uint64_t releases, std::uint64_t imageDisk) {
    auto limits = store_.plans().get("small").limits;
    limits.releases = releases;
    limits.imageDiskBytes = imageDisk;
    store_.plans().update("small", limits);
  }
  void deployTimes(int times) {
    for (int i = 0; i < times; ++i) {
      deploy();
      settle();
    }
  }
  [[nodiscard]] std::vector<std::int64_t> kept() {
    std::vector<std::int64_t> versions;
    for (const auto& image : store_.releases().images(tenant_.id)) versions.push_back(image.version);
    return versions;
  }
  [[nodiscard]] std::uint64_t stored() {
    std::uint64_t sum = 0;
    for (const auto& [digest, bytes] : store_.images().of(tenant_.id)) sum += bytes;
    return sum;
  }
};

TEST_F(Retention, TheLastReleasesKeepTheirImages) {
  plan(3, 1ULL << 30U);
  deployTimes(5);
  EXPECT_EQ(kept(), (std::vector<std::int64_t>{5, 4, 3}));
  EXPECT_EQ(stored(), 30 * kMiB);
  const auto old = store_.releases().get(app_.id, 1);
  EXPECT_FALSE(old.imageKept) << "its history is there";
  const auto used = store_.releases().digestsInUse();
  EXPECT_EQ(std::count(used.begin(), used.end(), old.slugDigest), 0);
  const auto work = service_.work("one").keepBlobs;
  EXPECT_EQ(std::count(work.begin(), work.end(), old.slugDigest), 0);
  EXPECT_EQ(std::count(work.begin(), work.end(), store_.releases().get(app_.id, 3).slugDigest), 1);
  try {
    deployments_.rollback(app_.id, 1, "tk-1");
    FAIL();
  } catch (const store::Conflict& refusal) {
    EXPECT_EQ(refusal.code(), "image_dropped");
    EXPECT_NE(std::string(refusal.what()).find("last 3 releases"), std::string::npos) << refusal.what();
  }
  const auto back = deployments_.rollback(app_.id, 3, "tk-1");
  settle();
  EXPECT_EQ(ended(back).state, OperationState::succeeded);
}

TEST_F(Retention, WhatServesKeepsItsImageHoweverOldItIs) {
  plan(1, 1ULL << 30U);
  deployTimes(1);
  for (const std::int64_t broken : {2, 3, 4}) {
    node_.broken.insert(broken);
    deploy();
    settle();
  }
  EXPECT_EQ(live(1), 1U);
  const auto versions = kept();
  EXPECT_EQ(std::count(versions.begin(), versions.end(), 1), 1);
}

TEST_F(Retention, ImagesNeverTakeMoreThanThePlanSays) {
  plan(10, 35 * kMiB);
  std::uint64_t most = 0;
  watch = [&] { most = std::max(most, stored()); };
  deployTimes(6);
  EXPECT_LE(most, 35 * kMiB);
  EXPECT_EQ(kept(), (std::vector<std::int64_t>{6, 5, 4}));
  // A smaller plan holds from the next look on.
  plan(10, 25 * kMiB);
  retainAll(store_);
  EXPECT_EQ(kept(), (std::vector<std::int64_t>{6, 5}));
}

TEST_F(Retention, ABuildThatCannotFitIsRefusedBeforeItRuns) {
  plan(10, 15 * kMiB);
  deployTimes(1);
  try {
    deploy();
    FAIL() << "what serves and another one like it are 20 MiB";
  } catch (const store::QuotaExceeded& refusal) {
    EXPECT_EQ(refusal.limit(), "imageDiskBytes");
    EXPECT_EQ(refusal.asked(), 10 * kMiB);
    EXPECT_EQ(refusal.available(), 5 * kMiB);
  }
  EXPECT_TRUE(store_.builds().unfinished().empty());
}

TEST_F(Retention, AnImageLargerThanWhatIsLeftIsNoRelease) {
  plan(10, 25 * kMiB);
  deployTimes(1);
  node_.slugBytes = 20 * kMiB;
  const auto operation = deploy();
  settle();
  EXPECT_EQ(ended(operation).state, OperationState::failed);
  EXPECT_EQ(ended(operation).failure.code, "image_disk_full");
  EXPECT_EQ(stored(), 10 * kMiB);
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 1);
  EXPECT_EQ(live(1), 1U);
}

TEST_F(Retention, OneImageOfManyReleasesCountsOnce) {
  plan(10, 25 * kMiB);
  deployTimes(1);
  for (int i = 0; i < 4; ++i) {
    deployments_.setConfig(app_.id, {{"N", std::to_string(i)}}, "tk-1");
    settle();
  }
  EXPECT_EQ(stored(), 10 * kMiB);
  EXPECT_EQ(kept().size(), 5U);
}

TEST_F(Retention, HistoryIsBoundedToo) {
  plan(2, 1ULL << 30U);
  for (int i = 0; i < 130; ++i) {
    const auto app = store_.apps().byId(app_.id);
    model::Build build;
    build.tenantId = tenant_.id;
    build.appId = app_.id;
    build.operationId = store_.operations().create(tenant_.id, "deploy", "app/hello", "").id;
    build.baseDigest = kBase;
    build.slugDigest = store::sha256(std::to_string(i));
    build.manifest = manifest();
    build = store_.builds().create(build, "tk-1");
    build.slugDigest = store::sha256(build.id);
    service_.buildSucceeded(build);
    for (const auto& rollout : store_.rollouts().ofApp(app_.id)) store_.rollouts().end(rollout.operationId);
  }
  EXPECT_EQ(kept().size(), 2U);
  EXPECT_LE(store_.releases().list(app_.id, {"", 1000}).size(), 101U);
  EXPECT_LE(store_.builds().list(app_.id, {"", 1000}).size(), 52U);
  EXPECT_EQ(store_.apps().byId(app_.id).currentRelease, 130);
}

TEST_F(Retention, AnAppThatIsRemovedLeavesNothing) {
  deployTimes(1);
  deployments_.removeApp(app_.id);
  settle();
  retainAll(store_);
  EXPECT_EQ(stored(), 0U);
}

}  // namespace
}  // namespace cloister::reconcile
