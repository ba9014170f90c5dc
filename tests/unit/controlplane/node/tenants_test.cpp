#include "controlplane/node/runtime.h"
#include "tests/unit/controlplane/node/node_fixture.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

class TenantGroups : public TemporaryDirectory {};

TEST_F(TenantGroups, SayHowLongTheirProcessesWaited) {
  FakeLauncher launcher;
  launcher.group = root_;
  write("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  EXPECT_TRUE(tenants.pressures().empty());
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  const auto told = tenants.pressures();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tenantId + " " + told[0].resource + " " + told[0].kind, "tn-1 cpu some");
  EXPECT_EQ(told[0].micros, 7U);
  ASSERT_TRUE(tenants.remove(7).ok());
  EXPECT_TRUE(tenants.pressures().empty());
}

TEST_F(TenantGroups, SayWhatTheirOwnGroupSpent) {
  FakeLauncher launcher;
  launcher.group = root_;
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  ASSERT_TRUE(tenants.ensure(tenant).ok()) << "a group without the file is no reason to refuse the tenant";
  EXPECT_TRUE(tenants.groupCpu().tenants.empty());
  EXPECT_FALSE(tenants.groupCpu().host);
  tenants.forget();
  write("cpu.stat", "usage_usec 12\nuser_usec 5\n");
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  write("cpu.stat", "usage_usec 34\nuser_usec 5\n");
  const auto told = tenants.groupCpu().tenants;
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tenantId, "tn-1");
  EXPECT_EQ(told[0].nanos, 34'000U);
  EXPECT_NE(told[0].inode, 0U);
}

TEST_F(TenantGroups, SayWhatAllOfThemAndTheirHostSpent) {
  fs::create_directories(root_ + "/cloister/t7");
  write("cpu.stat", "usage_usec 900\n");
  write("cloister/cpu.stat", "usage_usec 50\n");
  write("cloister/t7/cpu.stat", "usage_usec 12\n");
  FakeLauncher launcher;
  launcher.group = root_ + "/cloister/t7";
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  auto host = tenants.groupCpu().host;
  ASSERT_TRUE(host);
  EXPECT_EQ(host->groupsNanos, 50'000U);
  EXPECT_EQ(host->totalNanos, 900'000U);
  const auto inode = host->groupsInode;
  // The launcher made all groups anew.
  tenants.forget();
  fs::rename(root_ + "/cloister", root_ + "/old");
  fs::create_directories(root_ + "/cloister/t7");
  write("cloister/cpu.stat", "usage_usec 3\n");
  write("cloister/t7/cpu.stat", "usage_usec 1\n");
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  host = tenants.groupCpu().host;
  ASSERT_TRUE(host);
  EXPECT_EQ(host->groupsNanos, 3'000U);
  EXPECT_NE(host->groupsInode, inode);
}

TEST(TenantsTest, ToldOnceAndAgainWhenLimitsChangeOrTheLauncherRestarted) {
  FakeLauncher launcher;
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.index = 7;
  tenant.limits.memoryBytes = 100;
  tenant.limits.buildMemoryBytes = 50;
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  ASSERT_EQ(launcher.puts.size(), 1U);
  EXPECT_EQ(launcher.puts[0].limits.memoryBytes, 150U);
  auto larger = tenant;
  larger.limits.memoryBytes = 200;
  tenants.know(larger);
  ASSERT_TRUE(tenants.ensure(tenant).ok()) << "an older value that is still under way";
  ASSERT_EQ(launcher.puts.size(), 2U);
  EXPECT_EQ(launcher.puts[1].limits.memoryBytes, 250U);
  tenants.forget();
  ASSERT_TRUE(tenants.ensure(larger).ok());
  EXPECT_EQ(launcher.puts.size(), 3U);
}

}  // namespace
}  // namespace cloister::node
