// A ledger with its billing, and what the tests of billing do with them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "metering/base/lifecycle.h"
#include "metering/billing/billing.h"
#include "metering/ledger/ledger.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {

inline constexpr std::uint64_t kCoreHour = 3'600'000'000'000;
inline const Period kJanuary = *parseMonth("2026-01");
inline const Period kFebruary = *parseMonth("2026-02");
inline const Period kMarch = *parseMonth("2026-03");

class BillingTest : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    billing_.reset();
    ledger_.reset();
    ledger_ = Ledger::open(place_->location()).value();
    billing_ = Billing::open(place_->location()).value();
  }

  void use(const std::string& tenant, std::int64_t from, std::uint64_t cpu, const std::string& app = "ap-1") {
    UsageBatch batch{"nd-1", ++sequence_, "boot", {}};
    batch.rows.push_back({tenant, app, "in-1", Meter::cpu, cpu, from, from + 10 * kSecond, ""});
    batch.rows.push_back({tenant, app, "in-1", Meter::memoryPeak, 1 << 20, from, from + 10 * kSecond, ""});
    batch.rows.push_back({tenant, "", "", Meter::gap, 5, from, from + 10 * kSecond, "counter went backwards"});
    ASSERT_TRUE(ledger_->append(batch, from));
  }
  void plan(const std::string& tenant, std::int64_t at, const std::string& previous, const std::string& current) {
    ASSERT_TRUE(ledger_->append(controlPlaneBatch(++events_, {rowOf({at, tenant, "plan", previous, current})}), at));
  }
  static PriceList list(const std::string& name, const char* price, std::int64_t from = kJanuary.from) {
    PriceList list;
    list.name = name;
    list.currency = "EUR";
    list.from = from;
    list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{kNoEnd, parseUnitPrice(price).value()}}}};
    list.plans = {{"small", 10 * kMicros, 0, OverTransfer::charge}};
    list.taxes = {{"VAT", 100'000}};
    return list;
  }
  void price(const std::string& name, const char* price, std::int64_t from = kJanuary.from) {
    const auto added = billing_->addPriceList(list(name, price, from));
    ASSERT_TRUE(added) << added.error().message();
  }
  Invoice closed(const std::string& tenant, const Period& period) {
    const auto invoice = billing_->invoice(invoiceId(tenant, period));
    EXPECT_TRUE(invoice && invoice.value()) << tenant << ' ' << monthText(period);
    return invoice.value().value();
  }
  Closing close(const Period& period, const TenantNamesById& names = {}) {
    const auto closing = billing_->close(period, names, period.to + kHour);
    EXPECT_TRUE(closing) << closing.error().message();
    return closing ? *closing : Closing{};
  }

  std::unique_ptr<LedgerPlace> place_ = makeLedgerPlace();
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Billing> billing_;
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace cloister::metering
