// Databases of earlier formats, as billing finds them.
#include "metering/base/migrations.h"

#include <gtest/gtest.h>

#include <span>

#include "metering/base/lifecycle.h"
#include "metering/billing/billing.h"
#include "metering/ledger/billing_tables.h"
#include "metering/ledger/ledger.h"
#include "metering/ledger/migrations.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {
namespace {

constexpr std::size_t kOneBudgetEach = 3;

TEST(BillingMigrations, ABudgetFromBeforeThereWereTwoIsTheProviders) {
  const auto place = makeLedgerPlace();
  {
    auto database = Connection::open(place->location(), "test").value();
    ASSERT_TRUE(migrate(database, std::span(kLedgerMigrations).first(kOneBudgetEach)));
    ASSERT_TRUE(
        database.exec("INSERT INTO budgets VALUES('tn-1', 5000000, 'hard');"
                      "INSERT INTO alerts VALUES('tn-1', 0, 'budget 50', 1)"));
  }
  auto billing = Billing::open(place->location()).value();
  const auto all = billing->budgets("").value();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].by, SetBy::provider);
  EXPECT_EQ(all[0].amount, 5'000'000);
  EXPECT_EQ(all[0].cap, Cap::hard);
}

TEST(BillingMigrations, WhatANodeSaidOfPlansIsForgotten) {
  const auto place = makeLedgerPlace();
  auto ledger = Ledger::open(place->location()).value();
  auto billing = Billing::open(place->location()).value();
  const auto own = controlPlaneBatch(1, {rowOf({1, "tn-1", "plan", "", "small"})});
  auto forged = controlPlaneBatch(1, {rowOf({2, "tn-1", "plan", "small", "large"})});
  forged.source = "nd-1";
  ASSERT_TRUE(ledger->append(own, 1));
  ASSERT_TRUE(ledger->append(forged, 1));
  auto database = Connection::open(place->location(), "test").value();
  ASSERT_TRUE(database.exec("INSERT INTO lifecycle SELECT tenant, number, window_from, note FROM rows"));
  ASSERT_TRUE(database.exec(kOwnLifecycleOnly));
  auto query = database.prepare("SELECT number FROM lifecycle ORDER BY number").value();
  ASSERT_EQ(query.step(), Statement::Step::row);
  EXPECT_EQ(query.integer(0), 1);
  EXPECT_EQ(query.step(), Statement::Step::done);
}

}  // namespace
}  // namespace cloister::metering
