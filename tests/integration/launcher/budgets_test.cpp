// What the kernel counts a user is a tenant's own: two instances of one tenant take all they can get of it and keep it,
// and another tenant still gets what it gets on an empty host.
#include <unistd.h>

#include <chrono>
#include <thread>

#include "policy/model/budgets.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using policy::ContainerBudget;

constexpr TenantIndex kOther = 8;

struct Budget {
  const char* resource;
  long most;      // one container
  long expected;  // at least, of a tenant alone; 0: the kernel gives none
};

class BudgetTest : public LauncherTest, public ::testing::WithParamInterface<Budget> {
 protected:
  void SetUp() override {
    LauncherTest::SetUp();
    if (HasFatalFailure() || IsSkipped()) return;
    launcher::TenantPutRequest other;
    other.tenant = kOther;
    other.limits = {.memoryBytes = 512U << 20U, .cpuMillis = 2000, .pids = 256, .networkBitsPerSecond = 0};
    ASSERT_TRUE(client_->putTenant(other));
    probe_ = makeLayer("probe", std::string("mkdir -p $ROOT/usr/bin; cp ") + CLOISTER_BUDGET_PROBE + " $ROOT/usr/bin/");
  }

  [[nodiscard]] launcher::LaunchRequest probe(const std::string& instance, TenantIndex tenant, bool hold) const {
    auto wanted = request(instance, "");
    wanted.tenant = tenant;
    wanted.address = 0;
    wanted.layers.insert(wanted.layers.begin(), probe_);
    wanted.argv = {"/usr/bin/budget_probe", GetParam().resource};
    if (hold) wanted.argv.emplace_back("hold");
    wanted.limits.openFiles = 4'096;
    wanted.limits.memoryBytes = 128U << 20U;
    return wanted;
  }

  // What a flood that stays says it has.
  [[nodiscard]] long taken(const std::string& instance) const {
    for (int turn = 0; turn < 400; ++turn) {
      const std::string text = output(instance);
      if (text.ends_with('\n')) return std::stol(text);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return -1;
  }

  std::string probe_;
};

TEST_P(BudgetTest, IsTheTenantsOwn) {
  auto first = launch(probe("flood-1", 7, true));
  ASSERT_TRUE(first) << first.error().message();
  const long alone = taken("flood-1");
  EXPECT_LE(alone, GetParam().most);
  EXPECT_GE(alone, GetParam().expected);
  auto second = launch(probe("flood-2", 7, true));
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_LE(taken("flood-2"), GetParam().most);

  const auto other = run(probe("other", kOther, false));
  EXPECT_EQ(other.output, std::to_string(alone) + "\n") << "the other tenant pays for the flood";
  EXPECT_TRUE(client_->remove("flood-1"));
  EXPECT_TRUE(client_->remove("flood-2"));
}

INSTANTIATE_TEST_SUITE_P(
    Counted, BudgetTest,
    ::testing::Values(Budget{"inotify", 4'096, 32}, Budget{"timers", ContainerBudget::kPendingSignals, 1'000},
                      Budget{"pipes", 2'048, 512},
                      Budget{"terminals", ContainerBudget::kTerminals, ContainerBudget::kTerminals},
                      Budget{"descriptors", 4'096, 4'000}, Budget{"segments", 4'096, 100},
                      Budget{"semaphores", 32'000, 1'000}, Budget{"queues", 9, 9}, Budget{"messages", 16, 16},
                      Budget{"pinned", ContainerBudget::kPinnedBytes >> 10U, ContainerBudget::kPinnedBytes >> 10U},
                      Budget{"shm", ContainerBudget::kSharedMemoryBytes >> 20U, 60}, Budget{"namespaces", 0, 0}),
    [](const auto& instance) { return std::string(instance.param.resource); });

// The second wall behind the filter: what a container could not make even under none.
TEST_F(LauncherTest, NoUserNamespaceBelowAContainers) {
  const auto outcome = run(request("nested", "cat /proc/sys/user/max_user_namespaces"));
  EXPECT_EQ(outcome.output, "0\n");
}

}  // namespace
}  // namespace cloister::test
