// Removal without waiting, and the files that a joining process writes to.
#include <unistd.h>

#include <gtest/gtest.h>

#include "sandbox/cgroups/cgroups.h"
#include "tests/unit/sandbox/cgroups/fake_tree.h"

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

class Removal : public testing::Test {
 protected:
  void open(Layout layout) {
    MountLayout mounts{layout, {{directory_ / "v2", {DescriptorKind::unified}}}};
    std::map<std::string, fake::ControlFiles> files{
        {directory_ / "v2", layout == Layout::unified ? fake::kUnified : fake::kBare}};
    if (layout == Layout::hybrid) {
      mounts.mounts.push_back(
          {directory_ / "v1",
           {DescriptorKind::cpu, DescriptorKind::cpuacct, DescriptorKind::memory, DescriptorKind::pids}});
      files[directory_ / "v1"] = fake::kLegacy;
    }
    for (const Mount& mount : mounts.mounts) {
      std::filesystem::create_directory(mount.path);
      for (const auto& [name, text] : files[mount.path]) fake::put(mount.path + "/" + name, text);
    }
    auto opened =
        openTree(mounts, "cloister", {}, std::make_unique<fake::FakeDirectories>(files, std::set<std::string>()));
    ASSERT_TRUE(opened) << opened.error().message();
    tree_ = std::move(*opened);
    ASSERT_TRUE(tree_->putTenant(7, {.memoryBytes = 1U << 30U, .cpuMillis = 1000, .pids = 64}));
    auto group = tree_->createInstance(7, "web-1", {});
    ASSERT_TRUE(group) << group.error().message();
    group_ = std::move(*group);
  }

  fake::TemporaryDirectory directory_;
  std::unique_ptr<Tree> tree_;
  Group group_;
};

TEST_F(Removal, IsNotDoneWhileAProcessIsLeft) {
  open(Layout::unified);
  const std::string group = directory_ / "v2/cloister/t7/web-1";
  fake::put(group + "/cgroup.events", "populated 1\n");
  auto done = tree_->tryRemoveInstance(7, "web-1");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(*done);
  EXPECT_TRUE(std::filesystem::exists(group));

  fake::put(group + "/cgroup.events", "populated 0\n");
  fake::put(group + "/cgroup.procs", "1\n");  // the kernel has not caught up: rmdir fails with EBUSY
  done = tree_->tryRemoveInstance(7, "web-1");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_FALSE(*done);

  fake::put(group + "/cgroup.procs", "");
  done = tree_->tryRemoveInstance(7, "web-1");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(*done);
  EXPECT_FALSE(std::filesystem::exists(group));
  done = tree_->tryRemoveInstance(7, "web-1");
  EXPECT_TRUE(done && *done) << "what is gone already is done";
}

TEST_F(Removal, EventsAreThoseOfTheUnifiedGroup) {
  open(Layout::hybrid);
  const auto events = tree_->openEvents(7, "web-1");
  ASSERT_TRUE(events) << events.error().message();
  char text[64] = {};
  EXPECT_GT(::pread(events->get(), text, sizeof text - 1, 0), 0);
  EXPECT_TRUE(std::string(text).starts_with("populated"));
  EXPECT_FALSE(tree_->openEvents(7, "web-2"));
}

TEST_F(Removal, AnExecsGroupIsInTheUnifiedHierarchyAlone) {
  open(Layout::hybrid);
  const std::string group = directory_ / "v2/cloister/t7/web-1";
  ASSERT_TRUE(tree_->createExec(7, "web-1", "ss-1"));
  EXPECT_TRUE(std::filesystem::exists(group + "/ss-1"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "v1/cloister/t7/web-1/ss-1"));
  EXPECT_EQ(tree_->createExec(7, "web-1", "../ss-2").error().code, EINVAL);
  EXPECT_EQ(tree_->createExec(7, "web-2", "ss-2").error().code, ENOENT);
  fake::put(group + "/ss-1/cgroup.procs", "17\n");
  EXPECT_EQ(tree_->createExec(7, "web-1", "ss-1").error().code, EEXIST);
  EXPECT_FALSE(tree_->tryRemoveExec(7, "web-1", "ss-1").value()) << "it has a process";
  ASSERT_TRUE(tree_->killExec(7, "web-1", "ss-1"));
  EXPECT_EQ(fake::text(group + "/ss-1/cgroup.kill"), "1");
  EXPECT_EQ(fake::text(group + "/cgroup.kill"), "") << "and nobody else's";
  fake::put(group + "/ss-1/cgroup.procs", "");
  EXPECT_TRUE(tree_->tryRemoveExec(7, "web-1", "ss-1").value());
  EXPECT_TRUE(tree_->tryRemoveExec(7, "web-1", "ss-1").value()) << "what is gone already is done";
}

class RemovalOfExecs : public Removal, public testing::WithParamInterface<Layout> {};

TEST_P(RemovalOfExecs, EmptyGroupsGoWithTheNextAndWithTheInstance) {
  open(GetParam());
  const std::string group = directory_ / "v2/cloister/t7/web-1";
  ASSERT_TRUE(tree_->createExec(7, "web-1", "one"));
  ASSERT_TRUE(tree_->createExec(7, "web-1", "two"));
  EXPECT_FALSE(std::filesystem::exists(group + "/one"));
  const auto done = tree_->tryRemoveInstance(7, "web-1");
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_TRUE(*done);
  EXPECT_FALSE(std::filesystem::exists(group));
}

INSTANTIATE_TEST_SUITE_P(Layouts, RemovalOfExecs, testing::Values(Layout::unified, Layout::hybrid),
                         [](const auto& layout) { return layout.param == Layout::unified ? "unified" : "hybrid"; });

TEST_F(Removal, OnlyLegacyGroupsAreLeftToJoin) {
  open(Layout::unified);
  const auto none = tree_->joinFiles(group_);
  ASSERT_TRUE(none) << none.error().message();
  EXPECT_TRUE(none->empty());
}

TEST_F(Removal, EveryLegacyGroupIsLeftToJoin) {
  open(Layout::hybrid);
  const auto files = tree_->joinFiles(group_);
  ASSERT_TRUE(files) << files.error().message();
  ASSERT_FALSE(files->empty());
  for (const UniqueFd& file : *files) EXPECT_EQ(::write(file.get(), "0", 1), 1);
  EXPECT_EQ(fake::text(directory_ / "v1/cloister/t7/web-1/tasks"), "0");
  EXPECT_EQ(fake::text(directory_ / "v1/cloister/t7/web-1/cgroup.procs"), "") << "it would wait for a grace period";
}

}  // namespace
}  // namespace cloister::cgroups
