// A tenant's closed month in a ledger of the test's own, with an earlier month that it corrects: what the export's
// tests begin with.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "metering/base/lifecycle.h"
#include "metering/billing/billing.h"
#include "metering/ledger/ledger.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {

inline const Period kJanuary = *parseMonth("2026-01");
inline const Period kFebruary = *parseMonth("2026-02");

class ExportedMonth : public testing::Test {
 protected:
  static constexpr std::uint64_t kCoreHour = 3'600'000'000'000;
  static constexpr const char* kTenant = "tn \"1\"\t%\n";

  void SetUp() override {
    ledger_ = Ledger::open(place_->location()).value();
    billing_ = Billing::open(place_->location()).value();
    putPrices();
    ASSERT_TRUE(ledger_->append(controlPlaneBatch(1, {rowOf({kJanuary.from - 5, kTenant, "plan", "", "small"})}), 1));
    for (int i = 0; i < 40; ++i) use(kJanuary.from + i * kHour / 4, kCoreHour / 7);
    ASSERT_TRUE(billing_->close(kJanuary, {{kTenant, "acme"}}, kJanuary.to));
    use(kJanuary.from + 3 * kHour, kCoreHour / 3);  // late
    for (int i = 0; i < 60; ++i) use(kFebruary.from + i * kHour / 4, kCoreHour / 7);
    ASSERT_TRUE(ledger_->append(
        controlPlaneBatch(2, {rowOf({kFebruary.from + 100 * kHour, kTenant, "plan", "small", "large"})}), 1));
    ASSERT_TRUE(billing_->addCredit(kTenant, "outage, \"sorry\"", kMicros / 2, 1));
    ASSERT_TRUE(billing_->close(kFebruary, {{kTenant, "acme"}}, kFebruary.to));
  }
  void putPrices() {
    PriceList list;
    list.name = "2026";
    list.from = kJanuary.from;
    list.currency = "EUR";
    list.items = {{"cpu", Meter::cpu, "core-hour", 1, {{2, 12'345'678}, {kNoEnd, 9'000'001}}},
                  {"out", Meter::networkExternalOut, "gb", 0, {{kNoEnd, 50'000'000}}}};
    list.plans = {{"small", 9 * kMicros, 0, OverTransfer::charge}, {"large", 90 * kMicros, 0, OverTransfer::charge}};
    list.taxes = {{"VAT", 190'000}};
    const auto added = billing_->addPriceList(list);
    ASSERT_TRUE(added) << added.error().message();
  }
  void use(std::int64_t from, std::uint64_t cpu) {
    UsageBatch batch{"nd-1", ++sequence_, "boot", {}};
    batch.rows.push_back({kTenant, "ap-1", "in-1", Meter::cpu, cpu, from, from + 10 * kSecond, ""});
    batch.rows.push_back({kTenant, "ap-1", "in-1", Meter::pidsPeak, 7, from, from + 10 * kSecond, ""});
    batch.rows.push_back({kTenant, "", "", Meter::networkExternalOut, 123'456'789, from, from + 10 * kSecond, ""});
    ASSERT_TRUE(ledger_->append(batch, from));
  }
  Invoice closed(const Period& period) { return billing_->invoice(invoiceId(kTenant, period)).value().value(); }

  std::unique_ptr<LedgerPlace> place_ = makeLedgerPlace();
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Billing> billing_;
  std::uint64_t sequence_ = 0;
};

}  // namespace cloister::metering
