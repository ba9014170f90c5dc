// A ledger in a place of its own, and rows for it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "metering/base/sha256.h"
#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {

inline constexpr std::int64_t kWindow = 10'000'000;

inline UsageRow row(const std::string& tenant, Meter meter, std::uint64_t quantity, std::int64_t window = 0,
                    const std::string& app = "ap-1", const std::string& instance = "in-1",
                    const std::string& note = "") {
  return {tenant, app, instance, meter, quantity, window * kWindow, (window + 1) * kWindow, note};
}

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override { startAnew(); }
  void startAnew() {
    ledger.reset();
    place = makeLedgerPlace();
    ASSERT_NE(place, nullptr);
    reopen();
  }
  void reopen() {
    ledger.reset();
    auto opened = Ledger::open(place->location());
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    ledger = std::move(opened).value();
  }
  Appended append(std::uint64_t sequence, std::vector<UsageRow> rows, const std::string& source = "nd-1") {
    return appendTo(*ledger, sequence, std::move(rows), source);
  }
  static Appended appendTo(Ledger& which, std::uint64_t sequence, std::vector<UsageRow> rows,
                           const std::string& source = "nd-1") {
    const auto appended = which.append({source, sequence, "boot", std::move(rows)}, 1);
    EXPECT_TRUE(appended.ok()) << appended.error().message();
    return appended.ok() ? *appended : Appended::refused;
  }
  Quantity total(const std::string& tenant, Meter meter) {
    return ledger->totals(tenant).at(static_cast<std::size_t>(meter));
  }
  // What somebody with the database and a SQL shell would do.
  void tamper(const std::string& sql) {
    auto database = Connection::open(place->location(), "test");
    ASSERT_TRUE(database.ok());
    const auto done = database->exec(
        "{sqlite: DROP TRIGGER IF EXISTS rows_stay; DROP TRIGGER IF EXISTS rows_last;"
        "DROP TRIGGER IF EXISTS batches_stay; DROP TRIGGER IF EXISTS batches_last;}"
        "{postgres: ALTER TABLE rows DISABLE TRIGGER ALL; ALTER TABLE batches DISABLE TRIGGER ALL;}" +
        sql);
    ASSERT_TRUE(done.ok()) << done.error().message();
  }

  std::unique_ptr<LedgerPlace> place;
  std::unique_ptr<Ledger> ledger;
};

}  // namespace cloister::metering
