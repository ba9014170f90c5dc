// A ledger whose server is away when it is opened. Where a server is needed: tests/integration/metering.
#include <cerrno>

#include "metering/billing/billing.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

constexpr const char* kNobody = "postgresql://me:sekret@127.0.0.1:1/x";

TEST(LedgerAway, OpensAndSaysSoWithEachCall) {
  const auto ledger = Ledger::open(kNobody);
  ASSERT_TRUE(ledger.ok()) << ledger.error().message();
  const auto appended = (*ledger)->append({"nd-1", 1, "boot", {row("t", Meter::cpu, 1)}}, 1);
  const auto sums = (*ledger)->query({});
  const auto verified = (*ledger)->verify("t");
  const auto anomalies = (*ledger)->anomalies();
  const auto ready = (*ledger)->ready();
  ASSERT_FALSE(appended.ok() || sums.ok() || verified.ok() || anomalies.ok() || ready.ok());
  for (const auto& error : {appended.error(), sums.error(), verified.error(), anomalies.error(), ready.error()}) {
    EXPECT_EQ(error.code, ENOTCONN) << error.message();
    EXPECT_TRUE(isAway(error));
    EXPECT_EQ(error.message().find("sekret"), std::string::npos) << error.message();
  }
  EXPECT_FALSE((*ledger)->known()) << "zeros would be taken for sums";
}

TEST(LedgerAway, BillingOpensAndSaysSoWithEachCall) {
  const auto billing = Billing::open(kNobody);
  ASSERT_TRUE(billing.ok()) << billing.error().message();
  for (const auto& status : {(*billing)->rollUp(), (*billing)->setBudget({"t", SetBy::tenant, 1, Cap::soft, 1})}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ENOTCONN) << status.error().message();
  }
}

// Waiting would not mend these.
TEST(LedgerAway, AWrongUrlIsNoServerThatIsAway) {
  for (const char* wrong :
       {"postgresql://me:sekret@h/x?nonsense=1", "postgresql://me:sekret%zz@h/x", "postgres://me:sekret@[::1/x",
        "postgresql://me:sekret@h:port/x", "postgresql://me:sekret@h:5432,i:0/x", "postgresql://me:sekret@h:70000/x",
        "postgresql://me:sekret@h/x?sslmode=perhaps", "postgresql://me:sekret@127.0.0.1:1/x?connect_timeout=soon"}) {
    const auto opened = Ledger::open(wrong);
    ASSERT_FALSE(opened.ok()) << wrong;
    EXPECT_EQ(opened.error().code, EINVAL) << opened.error().message();
    EXPECT_FALSE(isAway(opened.error()));
    EXPECT_EQ(opened.error().message().find("sekret"), std::string::npos) << opened.error().message();
  }
}

TEST_F(LedgerTest, WhatWasReadIsKnown) {
  EXPECT_TRUE(ledger->known());
  EXPECT_TRUE(ledger->ready().ok());
}

}  // namespace
}  // namespace cloister::metering
