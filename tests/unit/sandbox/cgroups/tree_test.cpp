#include <gtest/gtest.h>

#include <cerrno>

#include "fake_tree.h"
#include "sandbox/cgroups/limits.h"

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

constexpr launcher::TenantLimits kTenant{1ULL << 30U, 2000, 256, 0};

launcher::Limits instanceLimits() {
  launcher::Limits limits;
  limits.memoryBytes = 256ULL << 20U;
  limits.cpuMillis = 500;
  limits.pids = 64;
  return limits;
}

struct Unified : testing::Test {
  fake::TemporaryDirectory directory;
  std::string mount = directory / "v2";

  std::unique_ptr<Tree> open(const std::set<std::string>& refuse = {}) {
    std::filesystem::create_directory(mount);
    for (const auto& [file, text] : fake::kUnified) fake::put(mount + "/" + file, text);
    auto tree = openTree({Layout::unified, {{mount, {DescriptorKind::unified}}}}, "a.slice/cloister", {"254:0"},
                         std::make_unique<fake::FakeDirectories>(
                             std::map<std::string, fake::ControlFiles>{{mount, fake::kUnified}}, refuse));
    EXPECT_TRUE(tree) << tree.error().message();
    return tree ? std::move(tree).value() : nullptr;
  }
  std::string at(const std::string& path) { return fake::text(mount + "/a.slice/cloister/" + path); }
};

struct Hybrid : testing::Test {
  fake::TemporaryDirectory directory;
  std::string v2 = directory / "v2";
  std::string cpu = directory / "cpu,cpuacct";
  std::string memory = directory / "memory";
  std::string pids = directory / "pids";
  std::string blkio = directory / "blkio";

  std::unique_ptr<Tree> open(const std::set<std::string>& refuse = {}) {
    for (const auto& mount : {v2, cpu, memory, pids, blkio}) std::filesystem::create_directory(mount);
    auto tree = openTree(
        {Layout::hybrid,
         {{v2, {DescriptorKind::unified}},
          {cpu, {DescriptorKind::cpu, DescriptorKind::cpuacct}},
          {memory, {DescriptorKind::memory}},
          {pids, {DescriptorKind::pids}},
          {blkio, {DescriptorKind::blkio}}}},
        "cloister", {"254:0"},
        std::make_unique<fake::FakeDirectories>(std::map<std::string, fake::ControlFiles>{{v2, fake::kBare},
                                                                                          {cpu, fake::kLegacy},
                                                                                          {memory, fake::kLegacy},
                                                                                          {pids, fake::kLegacy},
                                                                                          {blkio, fake::kLegacy}},
                                                refuse));
    EXPECT_TRUE(tree) << tree.error().message();
    return tree ? std::move(tree).value() : nullptr;
  }
  std::vector<std::string> groups() const {
    std::vector<std::string> found;
    for (const auto& mount : {v2, cpu, memory, pids, blkio}) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(mount)) {
        if (entry.is_directory()) found.push_back(entry.path().lexically_relative(mount).string());
      }
    }
    return found;
  }
};

TEST_F(Unified, HandsControllersDownToTheTenant) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  for (const char* level : {"/../..", "/..", "", "/t7"}) {
    EXPECT_EQ(fake::text(mount + "/a.slice/cloister" + level + "/cgroup.subtree_control"), "+cpu +memory +pids +io")
        << level;
  }
}

TEST_F(Unified, WritesLimitsOfTenantAndInstance) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  auto group = tree->createInstance(7, "web-1", instanceLimits());
  ASSERT_TRUE(group) << group.error().message();
  EXPECT_NE(group->inode, 0U);
  ASSERT_EQ(group->directories.size(), 1U);
  EXPECT_GE(group->unified(), 0);
  EXPECT_EQ(at("t7/cpu.max").substr(0, 13), "200000 100000");
  EXPECT_EQ(at("t7/memory.max").substr(0, 10), "1073741824");
  EXPECT_EQ(at("t7/memory.oom.group"), "0\n");
  EXPECT_EQ(at("t7/web-1/cpu.max").substr(0, 12), "50000 100000");
  EXPECT_EQ(at("t7/web-1/memory.max").substr(0, 9), "268435456");
  EXPECT_EQ(at("t7/web-1/memory.swap.max").substr(0, 1), "0");
  EXPECT_EQ(at("t7/web-1/memory.oom.group").substr(0, 1), "1");
  EXPECT_EQ(at("t7/web-1/pids.max").substr(0, 2), "64");
}

TEST_F(Unified, ZeroMeansNoOwnBound) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", {}));
  EXPECT_EQ(at("t7/web-1/cpu.max").substr(0, 4), "max ");
  EXPECT_EQ(at("t7/web-1/memory.max").substr(0, 3), "max");
  EXPECT_EQ(at("t7/web-1/pids.max").substr(0, 3), "max");
}

// What a plan may bound beside memory, quota and pids.
constexpr launcher::TenantLimits kRich{1ULL << 30U, 2000, 256, 0, 900ULL << 20U, 500, 10'000'000, 300};

TEST_F(Unified, WritesEveryBoundOfThePlan) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kRich));
  EXPECT_EQ(at("t7/memory.high"), "943718400");
  EXPECT_EQ(at("t7/cpu.max.burst"), "50000");
  EXPECT_EQ(at("t7/cpu.weight").substr(0, 3), "200");
  EXPECT_EQ(at("t7/io.max"), "254:0 rbps=10000000 wbps=10000000 riops=300 wiops=300");
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  EXPECT_EQ(at("t7/web-1/cpu.max.burst"), "50000") << "all of the tenant's, which its own group bounds";
  EXPECT_EQ(at("t7/web-1/cpu.weight").substr(0, 2), "50");
  EXPECT_EQ(at("t7/web-1/io.max"), "") << "the tenant's group bounds the sum";
  EXPECT_EQ(at("t7/web-1/memory.high"), "max\n") << "an instance that outgrows itself ends, it does not crawl";
}

TEST_F(Unified, ABurstNeverPassesTheQuota) {
  auto tree = open();
  auto limits = kRich;
  limits.cpuBurstMillis = 9000;
  ASSERT_TRUE(tree->putTenant(7, limits));
  EXPECT_EQ(at("t7/cpu.max.burst"), "200000");
  auto small = instanceLimits();
  small.cpuMillis = 100;
  ASSERT_TRUE(tree->createInstance(7, "web-1", small));
  EXPECT_EQ(at("t7/web-1/cpu.max.burst"), "10000");
}

TEST_F(Unified, WhatTheKernelLacksIsNamedAndNotAFailure) {
  const std::set<std::string> lacking = {"cloister/io.max",  "t7/io.max",      "cloister/cpu.max.burst",
                                         "t7/cpu.max.burst", "t7/memory.high", "t7/cpu.weight"};
  auto tree = open(lacking);
  ASSERT_TRUE(tree->putTenant(7, kRich));
  for (const auto& ability : tree->abilities()) {
    const bool here = ability.name != "disk-rate" && ability.name != "cpu-burst" && ability.name != "disk-weight";
    EXPECT_EQ(ability.there, here) << ability.name << ": " << ability.how;
    EXPECT_FALSE(ability.how.empty()) << ability.name;
  }
}

TEST_F(Unified, FreezesAndThaws) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  ASSERT_TRUE(tree->setMotion(7, "web-1", Motion::frozen));
  EXPECT_EQ(at("t7/web-1/cgroup.freeze").substr(0, 1), "1");
  ASSERT_TRUE(tree->setMotion(7, "web-1", Motion::running));
  EXPECT_EQ(at("t7/web-1/cgroup.freeze").substr(0, 1), "0");
  EXPECT_FALSE(tree->setMotion(7, "web-2", Motion::frozen));
  EXPECT_FALSE(tree->setMotion(7, "../t8", Motion::frozen));
}

TEST_F(Unified, AFailedCreateLeavesNothing) {
  auto tree = open({"web-1/pids.max"});
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  const auto group = tree->createInstance(7, "web-1", instanceLimits());
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().path, "t7/web-1/pids.max");
  EXPECT_EQ(group.error().code, ENOENT);
  EXPECT_FALSE(std::filesystem::exists(mount + "/a.slice/cloister/t7/web-1"));
}

TEST_F(Unified, KillsThroughTheKernelAndWaitsUntilEmpty) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  const std::string group = mount + "/a.slice/cloister/t7/web-1";
  fake::put(group + "/cgroup.events", "frozen 0\npopulated 1\n");
  EXPECT_TRUE(tree->populated(7, "web-1").value());
  ASSERT_TRUE(tree->kill(7, "web-1"));
  EXPECT_EQ(fake::text(group + "/cgroup.kill"), "1");
  const auto removed = tree->removeInstance(7, "web-1", 30);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, ETIMEDOUT);
  fake::put(group + "/cgroup.events", "populated 0\n");
  EXPECT_TRUE(tree->removeInstance(7, "web-1", 30));
  EXPECT_FALSE(std::filesystem::exists(group));
  EXPECT_TRUE(tree->removeInstance(7, "web-1", 30)) << "gone counts as done";
}

TEST_F(Unified, MissingControllerIsNamed) {
  std::filesystem::create_directory(mount);
  for (const auto& [file, text] : fake::kUnified) fake::put(mount + "/" + file, text);
  fake::put(mount + "/cgroup.controllers", "cpu pids memory_other\n");
  const auto tree = openTree(
      {Layout::unified, {{mount, {DescriptorKind::unified}}}}, "cloister", {},
      std::make_unique<fake::FakeDirectories>(std::map<std::string, fake::ControlFiles>{}, std::set<std::string>{}));
  ASSERT_FALSE(tree);
  EXPECT_EQ(tree.error().path, "memory");
  EXPECT_EQ(tree.error().code, ENOTSUP);
}

TEST_F(Hybrid, WritesEachLimitInItsOwnHierarchy) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  auto group = tree->createInstance(7, "web-1", instanceLimits());
  ASSERT_TRUE(group) << group.error().message();
  ASSERT_EQ(group->directories.size(), 6U);
  EXPECT_EQ(group->directories[0].first, DescriptorKind::unified);
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/cpu.cfs_quota_us"), "200000");
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/web-1/cpu.cfs_quota_us").substr(0, 5), "50000");
  EXPECT_EQ(fake::text(memory + "/cloister/t7/web-1/memory.limit_in_bytes"), "268435456");
  EXPECT_EQ(fake::text(pids + "/cloister/t7/web-1/pids.max").substr(0, 2), "64");
  EXPECT_EQ(fake::text(memory + "/cloister/memory.use_hierarchy").substr(0, 1), "1");
}

TEST_F(Hybrid, WritesEveryBoundOfThePlanThatVersion1Has) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kRich));
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/cpu.cfs_burst_us"), "50000");
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/cpu.shares").substr(0, 4), "2048");
  EXPECT_EQ(fake::text(memory + "/cloister/t7/memory.soft_limit_in_bytes"), "943718400");
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/web-1/cpu.cfs_burst_us"), "50000");
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/web-1/cpu.shares").substr(0, 3), "512");
  // This version bounds no sum: each instance has the tenant's rate.
  for (const char* group : {"t7/", "t7/web-1/"}) {
    const std::string throttle = blkio + "/cloister/" + group + "blkio.throttle.";
    EXPECT_EQ(fake::text(throttle + "read_bps_device"), "254:0 10000000");
    EXPECT_EQ(fake::text(throttle + "write_bps_device"), "254:0 10000000");
    EXPECT_EQ(fake::text(throttle + "read_iops_device"), "254:0 300");
    EXPECT_EQ(fake::text(throttle + "write_iops_device"), "254:0 300");
  }
  ASSERT_TRUE(tree->setMotion(7, "web-1", Motion::frozen));
  EXPECT_EQ(fake::text(v2 + "/cloister/t7/web-1/cgroup.freeze").substr(0, 1), "1");
}

TEST_F(Hybrid, SetsBackAPeriodAndABurstThatDiffer) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kRich));
  const std::string group = cpu + "/cloister/t7/";
  fake::put(group + "cpu.cfs_period_us", "50000\n");
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  EXPECT_EQ(fake::text(group + "cpu.cfs_period_us").substr(0, 6), "100000");
  EXPECT_EQ(fake::text(group + "cpu.cfs_burst_us").substr(0, 1), "0") << "this plan has none";
}

TEST_F(Hybrid, NoQuotaPassesTheTenants) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  auto limits = instanceLimits();
  limits.cpuMillis = 9000;
  ASSERT_TRUE(tree->createInstance(7, "web-1", limits));
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/web-1/cpu.cfs_quota_us"), "200000");
  auto smaller = kTenant;
  smaller.cpuMillis = 1000;
  ASSERT_TRUE(tree->putTenant(7, smaller));
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/cpu.cfs_quota_us"), "100000");
  EXPECT_EQ(fake::text(cpu + "/cloister/t7/web-1/cpu.cfs_quota_us"), "100000");
}

TEST_F(Hybrid, AFailedCreateLeavesNothingInAnyHierarchy) {
  auto tree = open({"web-1/pids.max"});
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  const auto before = groups();
  ASSERT_FALSE(tree->createInstance(7, "web-1", instanceLimits()));
  EXPECT_EQ(groups(), before);
}

TEST_F(Hybrid, AFailedPutOfANewTenantLeavesNothingInAnyHierarchy) {
  auto tree = open({"t7/pids.max"});
  const auto before = groups();
  ASSERT_FALSE(tree->putTenant(7, kTenant));
  EXPECT_EQ(groups(), before);
}

TEST_F(Hybrid, ASecondCreateIsRefused) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  const auto before = groups();
  const auto again = tree->createInstance(7, "web-1", instanceLimits());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, EEXIST);
  EXPECT_EQ(groups(), before);
}

TEST_F(Hybrid, AnInterruptedRemovalDoesNotBlockTheNextCreate) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  std::filesystem::create_directory(memory + "/cloister/t7/web-1");
  EXPECT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
}

TEST_F(Hybrid, JoinSkipsTheUnifiedGroupOfAChildBornThere) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  auto group = tree->createInstance(7, "web-1", instanceLimits());
  ASSERT_TRUE(group);
  ASSERT_TRUE(tree->join(group.value(), 4242, Tree::Born::insideUnified));
  EXPECT_EQ(fake::text(v2 + "/cloister/t7/web-1/cgroup.procs"), "");
  EXPECT_EQ(fake::text(memory + "/cloister/t7/web-1/cgroup.procs"), "4242");
  ASSERT_TRUE(tree->join(group.value(), 4243, Tree::Born::elsewhere));
  EXPECT_EQ(tree->processes(7, "web-1").value(), std::vector<pid_t>{4243});
}

TEST_F(Hybrid, ScanFindsInstancesOfTenantsOnly) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  for (const char* stranger : {"system", "t0", "t07", "t30001", "tx", "t7x"}) {
    std::filesystem::create_directories(v2 + "/cloister/" + stranger + "/web-9");
  }
  const auto found = tree->scan();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().tenant, 7U);
  EXPECT_EQ(found->front().instance, "web-1");
}

TEST_F(Hybrid, ATenantWithInstancesIsNotRemoved) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  ASSERT_TRUE(tree->createInstance(7, "web-1", instanceLimits()));
  const auto before = groups();
  const auto removed = tree->removeTenant(7);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, EBUSY);
  EXPECT_EQ(groups(), before);
  ASSERT_TRUE(tree->removeInstance(7, "web-1", 0));
  EXPECT_TRUE(tree->removeTenant(7));
  EXPECT_TRUE(tree->removeTenant(7));
  EXPECT_TRUE(tree->removeAll());
  EXPECT_TRUE(groups().empty());
}

TEST_F(Hybrid, RefusesWhatIsNoTenantInstanceOrLimit) {
  auto tree = open();
  ASSERT_TRUE(tree->putTenant(7, kTenant));
  for (const TenantIndex tenant : {0U, 30'001U, ~0U}) EXPECT_FALSE(tree->putTenant(tenant, kTenant)) << tenant;
  EXPECT_FALSE(tree->putTenant(8, {0, 1, 1, 0}));
  EXPECT_FALSE(tree->putTenant(8, {1, 0, 1, 0}));
  EXPECT_FALSE(tree->putTenant(8, {1, 1, 0, 0}));
  const auto before = groups();
  for (const std::string& id : {std::string(""), std::string(".."), std::string("a/b"), std::string("../t8"),
                                std::string("-x"), std::string(41, 'a'), std::string("a\0b", 3)}) {
    EXPECT_FALSE(tree->createInstance(7, id, instanceLimits())) << id;
    EXPECT_FALSE(tree->removeInstance(7, id, 0)) << id;
    EXPECT_FALSE(tree->kill(7, id)) << id;
  }
  EXPECT_EQ(groups(), before);
}

TEST(Root, RefusesNamesThatLeaveTheMount) {
  for (const char* root : {"", "/", "..", "../x", "a//b", "a/../b", ".hidden", "a b", "/abs", "a/"}) {
    const auto tree = openTree({Layout::unified, {}}, root, {}, std::make_unique<Directories>());
    ASSERT_FALSE(tree) << root;
    EXPECT_EQ(tree.error().code, EINVAL) << root;
  }
}

TEST(Weight, OneCoreIsTheKernelsDefault) {
  EXPECT_EQ(weightOf(1000), 100U);
  EXPECT_EQ(weightOf(250), 25U);
  EXPECT_EQ(weightOf(1), 1U);
  EXPECT_EQ(weightOf(5'000'000), 10'000U);
}

TEST(Quota, IsThousandthsOfACoreAndNeverBelowTheKernelsMinimum) {
  EXPECT_EQ(quotaOf(1000), 100'000U);
  EXPECT_EQ(quotaOf(1), 1'000U);
  EXPECT_EQ(quotaOf(250), 25'000U);
}

TEST(Events, OnlyAWholePopulatedLineCounts) {
  EXPECT_TRUE(parsePopulated("frozen 0\npopulated 1\n").value());
  EXPECT_FALSE(parsePopulated("populated 0\n").value());
  for (const char* text : {"", "populated", "populated ", "populated x", "unpopulated 1", "frozen 1"}) {
    EXPECT_FALSE(parsePopulated(text)) << text;
  }
}

}  // namespace
}  // namespace cloister::cgroups
