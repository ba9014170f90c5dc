#include "controlplane/reconcile/spending.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "controlplane/reconcile/node_work.h"

namespace cloister::reconcile {
namespace {

using metering::Cap;
using metering::kHour;
using metering::kMicros;
using metering::Meter;
using metering::OverTransfer;
using metering::SetBy;
using model::TenantState;

constexpr std::uint64_t kCoreHour = 3'600'000'000'000;

class SpendingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_);
    const std::string path = directory_ / "ledger.db";
    ledger_ = metering::Ledger::open(path).value();
    billing_ = metering::Billing::open(path).value();
    spending_ = std::make_unique<Spending>(store_, *ledger_, *billing_, deployments_);
    model::PlanLimits limits;
    limits.networkBitsPerSecond = 100'000'000;
    for (auto* size :
         {&limits.memoryBytes, &limits.cpuMillis, &limits.pids, &limits.diskBytes, &limits.inodes, &limits.instances,
          &limits.apps, &limits.buildMemoryBytes, &limits.buildDiskBytes, &limits.buildSeconds})
      *size = 1ULL << 30U;
    limits.cpuMillis = limits.pids = limits.inodes = limits.instances = limits.apps = limits.buildSeconds = 1000;
    for (const auto* plan : {"small", "large"}) (void)store_.plans().create(plan, limits);
    tenant_ = store_.tenants().create("acme", "small");
    now_ = store::now();
  }
  void TearDown() override {
    spending_.reset();
    billing_.reset();
    ledger_.reset();
    std::filesystem::remove_all(directory_);
  }
  void price(std::uint64_t transferGb, OverTransfer over) {
    metering::PriceList list;
    list.name = "list";
    list.currency = "EUR";
    list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{metering::kNoEnd, 1'000'000'000}}}};
    list.plans = {{"small", 0, transferGb * 1'000'000'000, over}};
    ASSERT_TRUE(billing_->addPriceList(list));
  }
  void budget(std::int64_t amount, Cap cap, SetBy by = SetBy::provider) {
    ASSERT_TRUE(billing_->setBudget({tenant_.id, by, amount * kMicros, cap, ++budgetsSet_}));
  }
  void use(Meter meter, std::uint64_t quantity) {
    const auto from = metering::monthOf(now_).from;
    ASSERT_TRUE(ledger_->append(
        {"nd-1", ++sequence_, "boot", {{tenant_.id, "", "", meter, quantity, from, from + 1, ""}}}, from));
  }
  std::vector<std::string> told(const std::string& kind) {
    std::vector<std::string> texts;
    for (const auto& event : store_.events().list(tenant_.id, "", {"", 100})) {
      if (event.kind == kind) texts.push_back(event.text);
    }
    return texts;
  }
  TenantState state() { return store_.tenants().get(tenant_.id).state; }
  std::uint64_t wantedRate() { return NodeWorkService(store_).work("nd").tenants.at(0).limits.networkBitsPerSecond; }

  std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() /
      ("spending-" + std::to_string(::getpid()) + testing::UnitTest::GetInstance()->current_test_info()->name());
  store::Store store_{{":memory:", ""}};
  Deployments deployments_{store_, {}};
  std::unique_ptr<metering::Ledger> ledger_;
  std::unique_ptr<metering::Billing> billing_;
  std::unique_ptr<Spending> spending_;
  model::Tenant tenant_;
  model::Micros now_ = 0;
  std::uint64_t sequence_ = 0;
  std::int64_t budgetsSet_ = 0;
};

TEST_F(SpendingTest, whatTenantsAreBilledByTimeForReachesTheLedgerOnce) {
  (void)store_.tenants().setPlan(tenant_.id, "large");
  (void)store_.tenants().setPlan(tenant_.id, "large");  // no change
  (void)deployments_.suspend(tenant_.id);
  const auto waiting = store_.ledgerOutbox().oldest(10);
  ASSERT_EQ(waiting.size(), 3U);
  spending_->deliver(now_);
  EXPECT_TRUE(store_.ledgerOutbox().oldest(10).empty());
  // As if the process had ended between the ledger's commit and the outbox's.
  EXPECT_EQ(ledger_->append(waiting.back(), now_).value(), metering::Appended::repeated);
  store_.tenants().erase(tenant_.id);
  spending_->deliver(now_);
  ASSERT_TRUE(billing_->rollUp());
  const auto input = billing_->inputOf(tenant_.id, metering::monthOf(now_), 100);
  ASSERT_TRUE(input);
  ASSERT_EQ(input->plans.size(), 2U);
  EXPECT_EQ(input->plans.at(0).plan, "small");
  EXPECT_EQ(input->plans.at(0).to, input->plans.at(1).from);
  EXPECT_NE(input->plans.at(1).to, metering::kOpenEnd);
}

TEST_F(SpendingTest, imagesAreBilledForEachMillisecondThatTheyTook) {
  constexpr std::int64_t kEarlier = 3 * metering::kHour;
  const auto since = [&] {
    auto query = store_.database().prepare("SELECT images_since FROM tenants WHERE id = ?1");
    query.bind(tenant_.id);
    return query.step() ? query.integer(0) : -1;
  };
  const auto begin = store::now();
  store_.images().set(tenant_.id, "sha256:a", 1000);
  EXPECT_GE(since(), begin - metering::kMilli);
  // As if it had been there for hours.
  store_.database().run("UPDATE tenants SET images_since = images_since - ?1", kEarlier);
  const auto first = since();
  store_.images().set(tenant_.id, "sha256:b", 500);
  const auto second = since();
  EXPECT_GE(second, first + kEarlier);
  store_.database().run("UPDATE tenants SET images_since = images_since - ?1", kEarlier);
  store_.images().erase(tenant_.id, "sha256:a");
  const auto third = since();
  store_.database().run("UPDATE tenants SET images_since = images_since - ?1", kEarlier);
  store_.tenants().erase(tenant_.id);
  metering::Quantity sum = 0;
  std::int64_t last = 0;
  for (const auto& batch : store_.ledgerOutbox().oldest(100)) {
    EXPECT_EQ(batch.source, metering::kControlPlane);
    for (const auto& row : batch.rows) {
      if (row.meter != metering::Meter::imageStorage) continue;
      sum += row.quantity;
      last = row.to;
      EXPECT_EQ(metering::hourOf(row.from), metering::hourOf(row.to - 1));
    }
  }
  const auto millis = [](std::int64_t from, std::int64_t to) { return static_cast<std::uint64_t>((to - from) / 1000); };
  EXPECT_EQ(sum, 1000 * millis(first, second) + 1500 * millis(second - kEarlier, third) +
                     500 * millis(third - kEarlier, last));
}

TEST_F(SpendingTest, imagesThatDoNotChangeAreBilledOnceAnHour) {
  store_.images().set(tenant_.id, "sha256:a", 1U << 30U);
  store_.database().run("UPDATE tenants SET images_since = images_since - ?1", metering::kHour);
  spending_->step(store::now());
  spending_->step(store::now());
  ASSERT_TRUE(billing_->rollUp());
  metering::Quantity sum = 0;
  for (const auto& month : {metering::monthOf(store::now() - metering::kHour), metering::monthOf(store::now())}) {
    const auto used = billing_->used(month, metering::Meter::imageStorage);
    ASSERT_TRUE(used);
    const auto found = used->find(tenant_.id);
    if (found != used->end()) sum += found->second;
    if (month == metering::monthOf(store::now())) break;
  }
  const metering::Quantity hour = metering::Quantity{1U << 30U} * 3'600'000;
  EXPECT_GE(sum, hour);
  EXPECT_LT(sum, hour + hour / 10);
}

TEST_F(SpendingTest, aBudgetTellsOnceEachAndAHardOneSuspends) {
  price(0, OverTransfer::charge);
  budget(10, Cap::hard);
  use(Meter::cpu, 6 * kCoreHour);
  for (int i = 0; i < 3; ++i) spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 1U);
  EXPECT_EQ(state(), TenantState::active);
  use(Meter::cpu, 4 * kCoreHour);
  for (int i = 0; i < 3; ++i) spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 4U);
  EXPECT_EQ(state(), TenantState::suspended);
  // The provider's word counts until the month is over.
  (void)deployments_.resume(tenant_.id);
  spending_->watch(now_);
  EXPECT_EQ(state(), TenantState::active);
}

TEST_F(SpendingTest, aSoftBudgetOnlyTells) {
  price(0, OverTransfer::charge);
  budget(10, Cap::soft);
  use(Meter::cpu, 20 * kCoreHour);
  spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 4U);
  EXPECT_EQ(state(), TenantState::active);
  // Another budget is another promise, also one of the same amount.
  budget(10, Cap::hard);
  spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 8U);
  EXPECT_EQ(state(), TenantState::suspended);
}

TEST_F(SpendingTest, theProvidersBudgetAndTheTenantsOwnEachTellAndActByThemselves) {
  price(0, OverTransfer::charge);
  budget(10, Cap::hard, SetBy::tenant);
  budget(20, Cap::hard, SetBy::provider);
  use(Meter::cpu, 10 * kCoreHour);
  spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 5U) << "four of the tenant's own, 50 % of the provider's";
  EXPECT_EQ(state(), TenantState::suspended);
  (void)deployments_.resume(tenant_.id);
  // Its own is the tenant's to take away, and the provider's goes on.
  EXPECT_TRUE(billing_->removeBudget(tenant_.id, SetBy::tenant).value());
  use(Meter::cpu, 10 * kCoreHour);
  spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 8U);
  EXPECT_EQ(state(), TenantState::suspended);
}

TEST_F(SpendingTest, aUsedUpTransferIsThrottledUntilTheMonthEnds) {
  price(5, OverTransfer::throttle);
  use(Meter::networkExternalOut, 4'999'999'999);
  spending_->watch(now_);
  EXPECT_EQ(wantedRate(), 100'000'000U);
  use(Meter::networkExternalOut, 1);
  spending_->watch(now_);
  spending_->watch(now_);
  EXPECT_EQ(wantedRate(), 10'000'000U);
  EXPECT_EQ(told("transfer.used_up").size(), 1U);
  spending_->watch(metering::monthOf(now_).to);
  EXPECT_EQ(wantedRate(), 100'000'000U);
}

TEST_F(SpendingTest, aUsedUpTransferStopsWhereThePlanSaysSo) {
  price(5, OverTransfer::stop);
  use(Meter::networkExternalOut, 5'000'000'000);
  spending_->watch(now_);
  EXPECT_EQ(state(), TenantState::suspended);
}

// As after a kill: one half of what belongs together is not done, and nothing of it may stay.
TEST_F(SpendingTest, whatFailsHalfwayIsDoneWholeAndOnceLater) {
  price(5, OverTransfer::throttle);
  budget(10, Cap::hard);
  use(Meter::cpu, 20 * kCoreHour);
  use(Meter::networkExternalOut, 5'000'000'000);
  for (const auto* half : {"INSERT ON alerts WHEN NEW.kind LIKE 'budget 100%'",
                           "INSERT ON events WHEN NEW.text LIKE '100 %'", "UPDATE ON tenants"}) {
    store_.database().script(std::string("CREATE TRIGGER half BEFORE ") + half +
                             " BEGIN SELECT RAISE(ABORT, 'as if killed'); END");
    EXPECT_THROW(spending_->watch(now_), store::StoreError) << half;
    EXPECT_EQ(told("budget.reached").size(), 3U) << half;
    EXPECT_EQ(state(), TenantState::active) << half;
    store_.database().script("DROP TRIGGER half");
  }
  store_.database().script(
      "CREATE TRIGGER half BEFORE INSERT ON throttles BEGIN SELECT RAISE(ABORT, 'as if killed'); END");
  EXPECT_THROW(spending_->watch(now_), store::StoreError);
  EXPECT_EQ(state(), TenantState::suspended);
  EXPECT_TRUE(told("transfer.used_up").empty());
  store_.database().script("DROP TRIGGER half");
  for (int i = 0; i < 3; ++i) spending_->watch(now_);
  EXPECT_EQ(told("budget.reached").size(), 4U);
  EXPECT_EQ(told("tenant.suspended").size(), 1U);
  EXPECT_EQ(told("transfer.used_up").size(), 1U);
  EXPECT_EQ(wantedRate(), 10'000'000U);
}

TEST_F(SpendingTest, aLedgerThatIsAwayIsToldOnceAndWhatItIsOwedStays) {
  const std::string nobody = "postgresql://me@127.0.0.1:1/x";
  auto ledger = metering::Ledger::open(nobody).value();
  auto billing = metering::Billing::open(nobody).value();
  Spending spending(store_, *ledger, *billing, deployments_);
  testing::internal::CaptureStdout();
  for (int i = 0; i < 30; ++i) spending.step(now_ + i);
  const auto text = testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("no connection to the database"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_FALSE(store_.ledgerOutbox().oldest(1).empty());
}

}  // namespace
}  // namespace cloister::reconcile
