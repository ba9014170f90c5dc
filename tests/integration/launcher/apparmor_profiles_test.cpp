// That each process of a container is under its own tenant's AppArmor profile of its class, and in enforcing mode:
// asked within, where a program can see it, and of the kernel from outside. What a profile denies is
// tests/integration/apparmor's.
#include <string>

#include "policy/model/apparmor.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using launcher::Confinement;

constexpr const char* kOwn = "/proc/self/attr/current";
constexpr const char* kInits = "/proc/1/attr/current";

std::string enforced(Confinement confinement, TenantIndex tenant = 7) {
  return policy::appArmorProfileName(confinement, tenant) + " (enforce)\n";
}

class ProfileTest : public LauncherTest {
 protected:
  void SetUp() override {
    LauncherTest::SetUp();
    if (!IsSkipped() && appArmor_.empty()) GTEST_SKIP() << "needs a kernel with AppArmor";
  }
};

TEST_F(ProfileTest, AnAppIsUnderItsTenantsOwn) {
  const auto outcome = run(request("app", std::string("cat ") + kOwn + " " + kInits));
  EXPECT_EQ(outcome.output, "cloister-app-t00007 (enforce)\ncloister-app-t00007 (enforce)\n");

  launcher::TenantPutRequest other;
  other.tenant = 8;
  other.limits = {.memoryBytes = 512U << 20U, .cpuMillis = 2000, .pids = 256, .networkBitsPerSecond = 0};
  ASSERT_TRUE(client_->putTenant(other));
  auto neighbour = request("neighbour", std::string("cat ") + kOwn);
  neighbour.tenant = 8;
  neighbour.address = subnetOf(8) + 10;
  EXPECT_EQ(run(neighbour).output, enforced(Confinement::app, 8));
}

TEST_F(ProfileTest, ABuildIsUnderThatOfBuilds) {
  auto build = request("build", std::string("cat ") + kOwn + " " + kInits);
  build.confinement = Confinement::build;
  EXPECT_EQ(run(build).output, enforced(Confinement::build) + enforced(Confinement::build));
}

TEST_F(ProfileTest, AnExecIsUnderItsOwnAndTheAppStaysUnderTheApps) {
  auto container = launch(request("host", "sleep 30"));
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(exec("host", {"/bin/cat", kOwn, kInits}).output, enforced(Confinement::exec) + enforced(Confinement::app));
  // Not the container's word, but the host's.
  EXPECT_EQ(readWhole("/proc/" + std::to_string(container->launched.pid) + "/attr/current"),
            enforced(Confinement::app));
  EXPECT_TRUE(client_->remove("host"));
}

}  // namespace
}  // namespace cloister::test
