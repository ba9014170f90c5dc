// A ledger that is opened while its server is away, and what must not be taken for that.
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "metering/base/calendar.h"
#include "metering/billing/billing.h"
#include "tests/integration/metering/postgres_server.h"
#include "tests/integration/patience.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

using test::sharedPostgres;

class PostgresStartTest : public testing::Test {
 protected:
  void TearDown() override { sharedPostgres().start(); }
  [[nodiscard]] std::unique_ptr<Ledger> opened(const std::string& settings = "") const {
    auto ledger = Ledger::open(location + settings);
    EXPECT_TRUE(ledger.ok()) << ledger.error().message();
    return ledger.ok() ? std::move(ledger).value() : nullptr;
  }
  static Result<Appended> append(Ledger& ledger, std::uint64_t sequence) {
    return ledger.append({"nd-1", sequence, "boot", {row("t", Meter::cpu, sequence)}}, 1);
  }
  static Quantity cpu(const Ledger& ledger) { return ledger.totals("t").at(static_cast<std::size_t>(Meter::cpu)); }

  std::string location = sharedPostgres().location(sharedPostgres().createPlace());
};

TEST_F(PostgresStartTest, TheLedgerOpensWithoutItsServerAndIsWholeWhenThatIsBack) {
  sharedPostgres().crash();
  const auto ledger = opened();
  ASSERT_NE(ledger, nullptr);
  for (int i = 0; i < 3; ++i) {
    const auto away = append(*ledger, 1);
    ASSERT_FALSE(away.ok());
    EXPECT_EQ(away.error().code, ENOTCONN) << away.error().message();
  }
  EXPECT_FALSE(ledger->known());
  sharedPostgres().start();
  for (const std::uint64_t sequence : {1U, 2U, 2U}) {
    const auto appended = append(*ledger, sequence);
    ASSERT_TRUE(appended.ok()) << appended.error().message();
  }
  EXPECT_TRUE(ledger->known());
  EXPECT_TRUE(cpu(*ledger) == 3);
  const auto verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok()) << verified.error().message();
  EXPECT_TRUE(verified->whole()) << verified->reason;
  EXPECT_EQ(verified->rows, 2U);
}

TEST_F(PostgresStartTest, WhatIsOnRecordIsKnownAgainBeforeAnythingIsAppended) {
  {
    const auto ledger = opened();
    ASSERT_NE(ledger, nullptr);
    ASSERT_TRUE(append(*ledger, 7).ok());
  }
  sharedPostgres().crash();
  const auto ledger = opened();
  ASSERT_NE(ledger, nullptr);
  EXPECT_FALSE(ledger->ready().ok());
  EXPECT_FALSE(ledger->known());
  sharedPostgres().start();
  ASSERT_TRUE(ledger->ready().ok()) << ledger->ready().error().message();
  EXPECT_TRUE(ledger->known());
  EXPECT_TRUE(cpu(*ledger) == 7);
}

// Its tables are the ledger's, and it may be the first that reaches the server.
TEST_F(PostgresStartTest, BillingMayBeFirst) {
  sharedPostgres().crash();
  const auto ledger = opened();
  ASSERT_NE(ledger, nullptr);
  const auto billing = Billing::open(location);
  ASSERT_TRUE(billing.ok()) << billing.error().message();
  EXPECT_FALSE((*billing)->rollUp().ok());
  sharedPostgres().start();
  const auto rolled = (*billing)->rollUp();
  ASSERT_TRUE(rolled.ok()) << rolled.error().message();
  ASSERT_TRUE(append(*ledger, 5).ok());
  ASSERT_TRUE((*billing)->rollUp().ok());
  const auto used = (*billing)->used(monthOf(0), Meter::cpu);
  ASSERT_TRUE(used.ok()) << used.error().message();
  EXPECT_TRUE(used->at("t") == 5);
}

TEST_F(PostgresStartTest, ManyCallersCompleteTheOpeningOnce) {
  constexpr std::uint64_t kCallers = 8;
  sharedPostgres().crash();
  const auto ledger = opened();
  ASSERT_NE(ledger, nullptr);
  std::atomic<std::uint64_t> recorded{0};
  std::vector<std::thread> callers;
  for (std::uint64_t caller = 1; caller <= kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int attempt = 0; attempt < test::patient(6000); ++attempt) {
        const auto appended = append(*ledger, caller);
        if (appended.ok() && *appended == Appended::recorded) ++recorded;
        if (appended.ok() && ledger->verify("t").ok()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    });
  }
  sharedPostgres().start();
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(recorded, kCallers);
  EXPECT_TRUE(cpu(*ledger) == kCallers * (kCallers + 1) / 2);
}

TEST_F(PostgresStartTest, AServerThatStandsStillIsAwayToo) {
  sharedPostgres().pause();
  const auto began = std::chrono::steady_clock::now();
  const auto ledger = opened("&connect_timeout=2");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(test::patient(8000)));
  sharedPostgres().resume();
  ASSERT_NE(ledger, nullptr);
  auto ready = ledger->ready();
  for (int i = 0; i < test::patient(200) && !ready.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ready = ledger->ready();
  }
  EXPECT_TRUE(ready.ok()) << ready.error().message();
}

TEST_F(PostgresStartTest, ALedgerOfANewerProgramIsRefusedAlsoLate) {
  auto database = Connection::open(location, "test");
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->setFormat(77).ok());
  EXPECT_FALSE(Ledger::open(location).ok());
  sharedPostgres().crash();
  const auto ledger = opened();
  ASSERT_NE(ledger, nullptr);
  sharedPostgres().start();
  const auto refused = append(*ledger, 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_FALSE(isAway(refused.error()));
  EXPECT_NE(refused.error().message().find("format 77 is newer"), std::string::npos) << refused.error().message();
  EXPECT_FALSE(ledger->known());
}

TEST_F(PostgresStartTest, AServerThatRefusesIsNotAway) {
  const auto directory = sharedPostgres().directory();
  for (const auto& wrong :
       {"postgresql://cloister@/nonesuch?host=" + directory, "postgresql://stranger@/postgres?host=" + directory}) {
    const auto ledger = Ledger::open(wrong);
    ASSERT_FALSE(ledger.ok()) << wrong;
    EXPECT_EQ(ledger.error().code, EACCES) << ledger.error().message();
  }
}

}  // namespace
}  // namespace cloister::metering
