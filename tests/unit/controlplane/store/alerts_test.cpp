#include <gtest/gtest.h>

#include <stdexcept>

#include "controlplane/store/store.h"

namespace cloister::store {
namespace {

TEST(Alerts, AreFirstOnceAMonthAndKindAndOnlyWithWhatWasDone) {
  Store store{{":memory:", ""}};
  model::PlanLimits limits;
  for (auto* size : {&limits.memoryBytes, &limits.cpuMillis, &limits.pids, &limits.diskBytes, &limits.inodes,
                     &limits.networkBitsPerSecond, &limits.instances, &limits.apps, &limits.buildMemoryBytes,
                     &limits.buildDiskBytes, &limits.buildSeconds})
    *size = 1'000'000;
  (void)store.plans().create("small", limits);
  const auto tenant = store.tenants().create("acme", "small").id;
  const auto other = store.tenants().create("other", "small").id;
  const auto kill = [&] {
    EXPECT_TRUE(store.alerts().first(tenant, 100, "transfer"));
    throw std::runtime_error("as if killed");
  };
  EXPECT_THROW(store.transact(kill), std::runtime_error);
  EXPECT_TRUE(store.alerts().first(tenant, 100, "transfer"));
  EXPECT_FALSE(store.alerts().first(tenant, 100, "transfer"));
  EXPECT_TRUE(store.alerts().first(tenant, 100, "budget"));
  EXPECT_TRUE(store.alerts().first(other, 100, "transfer"));
  EXPECT_FALSE(store.alerts().first("tn-none", 100, "transfer"));
  EXPECT_TRUE(store.alerts().first(tenant, 200, "transfer"));
  auto kept = store.database().prepare("SELECT COUNT(*) FROM alerts");
  ASSERT_TRUE(kept.step());
  EXPECT_EQ(kept.integer(0), 2) << "the tenant's earlier month is forgotten, another's is not";
}

}  // namespace
}  // namespace cloister::store
