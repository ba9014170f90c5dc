// What hosts' seals prove against a provider that changes the past and signs it again.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <vector>

#include "metering/base/lifecycle.h"
#include "metering/billing/billing.h"
#include "metering/export/statement.h"
#include "metering/export/verify.h"
#include "metering/ledger/ledger.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {
namespace {

const Period kMonth = *parseMonth("2026-01");
constexpr const char* kTenant = "tn-1";
constexpr int kHours = 4;
constexpr int kWindows = 6;  // of an hour

SigningKey keyOf(char seed) {
  return SigningKey::fromSeed(std::string(32, seed)).value();
}

class SealedStatement : public testing::Test {
 protected:
  using Batches = std::vector<UsageBatch>;
  struct Host {
    std::string name;
    SigningKey key;
    std::uint64_t sequence = 0;
    Segment segment;
  };

  // Two hosts, whose batches come in turn; the last window of the second is of the next hour. Row 1 is the tenant's
  // plan.
  Batches month() {
    std::vector<Host> hosts = {{"nd-1", host_, 0, {}}, {"nd-2", other_, 0, {}}};
    Batches all = {controlPlaneBatch(1, {rowOf({kMonth.from - kHour, kTenant, "plan", "", "small"})})};
    for (int i = 0; i <= kHours * kWindows; ++i) {
      for (auto& host : hosts) {
        const auto from = kMonth.from + i * kHour / kWindows;
        if (i == kHours * kWindows && host.name == "nd-1") continue;
        UsageBatch batch{host.name, ++host.sequence, "boot", {}};
        for (const auto meter : {Meter::cpu, Meter::networkExternalOut}) {
          batch.rows.push_back({kTenant, "ap-1", "in-1", meter, 1'000'000'000'000U + static_cast<unsigned>(i), from,
                                from + 10 * kSecond, ""});
          cover(sha_, host.segment, batch.rows.back());
        }
        if (i % kWindows == kWindows - 1) {
          batch.rows.push_back(sealRow(host.key, host.name, kTenant, host.segment));
          host.segment = {};
        }
        all.push_back(std::move(batch));
      }
    }
    return all;
  }
  static constexpr std::uint64_t kSealed = 2 * 2 * kHours * kWindows;

  // What the provider signs, whose ledger has these.
  std::string statement(const Batches& batches) {
    const auto place = makeLedgerPlace();
    auto ledger = Ledger::open(place->location()).value();
    auto billing = Billing::open(place->location()).value();
    PriceList list;
    list.name = "2026";
    list.from = kMonth.from;
    list.currency = "EUR";
    list.items = {{"cpu", Meter::cpu, "core-hour", 0, {{kNoEnd, 9'000'001}}}};
    list.plans = {{"small", 9 * kMicros, 0, OverTransfer::charge}};
    EXPECT_TRUE(billing->addPriceList(list));
    for (const auto& batch : batches) EXPECT_EQ(ledger->append(batch, 1).value(), Appended::recorded);
    EXPECT_TRUE(billing->close(kMonth, {{kTenant, "acme"}}, kMonth.to));
    const auto invoice = billing->invoice(invoiceId(kTenant, kMonth)).value().value();
    std::string file;
    const auto written = billing->statement(invoice, provider_, listed_, [&](std::string_view text) { file += text; });
    EXPECT_TRUE(written);
    return file;
  }
  StatementReport verify(const std::string& file, const std::vector<std::string>& nodeKeys = {}) {
    std::istringstream text(file);
    return verifyStatement([&](std::string& line) { return static_cast<bool>(std::getline(text, line)); },
                           provider_.publicKey(), nodeKeys);
  }
  StatementReport verify(const Batches& batches) { return verify(statement(batches)); }
  static std::size_t find(const Batches& batches, const std::string& source, std::uint64_t sequence) {
    const auto found = std::find_if(batches.begin(), batches.end(), [&](const UsageBatch& batch) {
      return batch.source == source && batch.sequence == sequence;
    });
    return static_cast<std::size_t>(found - batches.begin());
  }

  SigningKey provider_ = keyOf('p');
  SigningKey host_ = keyOf('h');
  SigningKey other_ = keyOf('o');
  std::vector<NodeKey> listed_ = {
      {"nd-1", host_.publicKey(), 5}, {"nd-2", other_.publicKey(), 6}, {"nd-3", keyOf('x').publicKey(), 7}};
  Sha256 sha_;
};

TEST_F(SealedStatement, HoldsAndSaysWhoVouchesForTheRows) {
  const auto file = statement(month());
  const auto report = verify(file);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, kSealed);
  EXPECT_EQ(report.seals.seals, 2U * kHours);
  EXPECT_EQ(report.seals.open, 2U) << "nd-2's last window is of an hour that goes on";
  EXPECT_EQ(report.seals.own + report.seals.bare + report.seals.untrusted, 0U) << "the plan's row is an event here";
  EXPECT_NE(file.find("\nnode\tnd-1\t" + host_.publicKey() + "\t5\t"), std::string::npos);
  EXPECT_EQ(file.find("nd-3"), std::string::npos) << "no host that the tenant was never on";
}

// The provider's key seals whatever it likes; the hosts' do not.
TEST_F(SealedStatement, ARowThatTheProviderChangedAndSignedAgainIsFoundAndItsSegmentNamed) {
  const auto honest = month();
  std::size_t changed = 0;
  for (std::size_t b = 1; b < honest.size(); b += 5) {
    for (std::size_t r = 0; r < honest[b].rows.size(); ++r) {
      if (honest[b].source == "nd-2" && honest[b].sequence > kHours * kWindows) continue;  // under no seal yet
      auto forged = honest;
      auto& row = forged[b].rows[r];
      const bool seal = row.meter == Meter::seal;
      ++row.quantity;
      const auto report = verify(forged);
      const auto named = seal ? "seal of " + honest[b].source : " of " + honest[b].source + " are not what it sealed";
      EXPECT_NE(report.finding.find(named), std::string::npos) << b << ' ' << r << ": " << report.finding;
      ++changed;
    }
  }
  EXPECT_GT(changed, 15U);
  auto forged = honest;
  forged[find(honest, "nd-1", 8)].rows[0].quantity *= 2;
  EXPECT_NE(verify(forged).finding.find("rows 28 to 49 of nd-1 are not what it sealed with row 50"), std::string::npos)
      << verify(forged).finding;
}

TEST_F(SealedStatement, EveryFieldOfARowIsUnderTheSeal) {
  const auto honest = month();
  const auto at = find(honest, "nd-1", 9);
  const std::vector<std::function<void(UsageRow&)>> changes = {[](UsageRow& row) { row.appId = "ap-2"; },
                                                               [](UsageRow& row) { row.instanceId = ""; },
                                                               [](UsageRow& row) { row.meter = Meter::gap; },
                                                               [](UsageRow& row) { row.from -= 1; },
                                                               [](UsageRow& row) { row.to += 1; },
                                                               [](UsageRow& row) { row.note = "x"; }};
  for (const auto& change : changes) {
    auto forged = honest;
    change(forged[at].rows.front());
    EXPECT_NE(verify(forged).finding.find("are not what it sealed"), std::string::npos);
  }
}

TEST_F(SealedStatement, WhatIsLeftOutAddedMovedOrDoubledIsFound) {
  const auto honest = month();
  const auto at = find(honest, "nd-1", 9);
  auto forged = honest;
  forged.erase(forged.begin() + static_cast<std::ptrdiff_t>(at));
  EXPECT_NE(verify(forged).finding.find("nd-1 sealed 12 rows, and 10 of them are here"), std::string::npos);

  forged = honest;
  forged[at].rows.push_back(forged[at].rows.front());
  EXPECT_NE(verify(forged).finding.find("are not what it sealed"), std::string::npos);

  forged = honest;
  std::swap(forged[at].rows[0], forged[at].rows[1]);
  EXPECT_NE(verify(forged).finding.find("are not what it sealed"), std::string::npos);

  // An hour with its seal once more, under sequences that nobody has.
  forged = honest;
  for (std::uint64_t sequence = kWindows + 1; sequence <= 2 * kWindows; ++sequence) {
    auto again = honest[find(honest, "nd-1", sequence)];
    again.sequence += 1000;
    forged.push_back(again);
  }
  EXPECT_NE(verify(forged).finding.find("this seal of nd-1 was there before"), std::string::npos);

  // As another host's, which is trusted as well.
  forged = honest;
  for (auto& batch : forged) {
    if (batch.source == "nd-1") batch.source = "nd-3";
  }
  listed_.push_back({"nd-3", host_.publicKey(), 1});
  EXPECT_NE(verify(forged).finding.find("the signature of the seal of nd-3"), std::string::npos);
}

// The first rows of an hour, the host said when it began: only an hour that began before the month may be cut.
TEST_F(SealedStatement, AFileThatBeginsLateIsFound) {
  auto forged = month();
  forged.erase(forged.begin() + 1, forged.begin() + 3);
  const auto report = verify(forged);
  EXPECT_NE(report.finding.find("sealed 12 rows, and 10 of them are here"), std::string::npos) << report.finding;
}

TEST_F(SealedStatement, AnHourThatBeganBeforeTheMonthIsNoFindingAndNoCover) {
  auto batches = month();
  Segment segment;
  UsageBatch before{"nd-1", 500, "boot", {}};
  UsageBatch after{"nd-1", 501, "boot", {}};
  for (auto* batch : {&before, &after}) {
    const auto from = batch == &before ? kMonth.from - 20 * kSecond : kMonth.from - 10 * kSecond;
    batch->rows.push_back({kTenant, "", "", Meter::cpu, 5, from, from + 10 * kSecond, ""});
    cover(sha_, segment, batch->rows.back());
  }
  after.rows.push_back(sealRow(host_, "nd-1", kTenant, segment));
  // The file begins with the month's first row, which stands between them.
  const UsageBatch first{"nd-2", 900, "boot", {{kTenant, "", "", Meter::cpu, 1, kMonth.from, kMonth.from + 1, ""}}};
  batches.insert(batches.begin() + 1, before);
  batches.insert(batches.begin() + 2, first);
  batches.insert(batches.begin() + 3, after);
  const auto cut = verify(batches);
  EXPECT_EQ(cut.finding, "");
  EXPECT_EQ(cut.seals.sealed, kSealed);
  EXPECT_EQ(cut.seals.bare, 2U) << "nd-2's stray row, and what is here of nd-1's hour";
}

TEST_F(SealedStatement, RowsWithoutASealAreCountedAndTheFirstNamed) {
  auto forged = month();
  forged[find(forged, "nd-1", kWindows)].rows.pop_back();
  const auto report = verify(forged);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, kSealed - 2 * kWindows);
  EXPECT_EQ(report.seals.bare, 2U * kWindows);
  EXPECT_EQ(report.seals.firstBare, 2U);
  // Rows that were put in where no host's hour has them.
  forged = month();
  forged.push_back({"nd-1", 999, "boot", {{kTenant, "", "", Meter::cpu, 1, kMonth.from, kMonth.from + 1, ""}}});
  EXPECT_EQ(verify(forged).seals.bare, 1U);
}

TEST_F(SealedStatement, UsageInTheControlPlanesNameIsVouchedForByNoHost) {
  auto forged = month();
  forged.push_back({kControlPlane, 999, "", {{kTenant, "", "", Meter::cpu, 1, kMonth.from, kMonth.from + 1, ""}}});
  const auto report = verify(forged);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.own, 0U);
  EXPECT_EQ(report.seals.bare, 1U);
}

TEST_F(SealedStatement, APlanThatAHostSpeaksOfIsNone) {
  auto batches = month();
  auto forged = controlPlaneBatch(999, {rowOf({kMonth.from + kHour, kTenant, "plan", "small", ""})});
  forged.source = "nd-1";
  batches.push_back(forged);
  const auto report = verify(batches);
  EXPECT_EQ(report.finding, "") << "rated as the invoice was";
  ASSERT_TRUE(report.invoice);
  EXPECT_EQ(report.invoice->total, verify(month()).invoice->total);
}

TEST_F(SealedStatement, OnlyKeysThatAreGivenAreTrusted) {
  const auto file = statement(month());
  auto report = verify(file, {host_.publicKey(), other_.publicKey()});
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, kSealed);
  report = verify(file, {host_.publicKey()});
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, kSealed / 2);
  EXPECT_EQ(report.seals.untrusted, std::uint64_t{kHours});
  EXPECT_EQ(report.seals.bare, kSealed / 2);

  // A provider that seals as a host of its own making, with a key that it lists.
  const auto honest = host_;
  host_ = keyOf('f');
  listed_.push_back({"nd-1", host_.publicKey(), 1});
  auto forged = statement(month());
  EXPECT_EQ(verify(forged).seals.sealed, kSealed) << "without keys from elsewhere, the provider vouches for hosts";
  report = verify(forged, {honest.publicKey(), other_.publicKey()});
  EXPECT_EQ(report.seals.untrusted, std::uint64_t{kHours});
  EXPECT_EQ(report.seals.bare, kSealed / 2);
}

TEST_F(SealedStatement, AHostThatLostItsKeyIsBelievedForBoth) {
  auto batches = month();
  const auto fresh = keyOf('n');
  listed_.push_back({"nd-1", fresh.publicKey(), 9});
  auto& rows = batches[find(batches, "nd-1", 2 * kWindows)].rows;
  Segment segment;
  for (std::uint64_t sequence = kWindows + 1; sequence <= 2 * kWindows; ++sequence) {
    for (const auto& row : batches[find(batches, "nd-1", sequence)].rows) {
      if (row.meter != Meter::seal) cover(sha_, segment, row);
    }
  }
  rows.back() = sealRow(fresh, "nd-1", kTenant, segment);
  const auto file = statement(batches);
  EXPECT_EQ(verify(file).finding, "");
  EXPECT_EQ(verify(file).seals.sealed, kSealed);
  EXPECT_NE(file.find(fresh.publicKey()), std::string::npos);
}

// A statement from before hosts had keys.
TEST_F(SealedStatement, TheFirstVersionStillHolds) {
  auto batches = month();
  for (auto& batch : batches) {
    std::erase_if(batch.rows, [](const UsageRow& row) { return row.meter == Meter::seal; });
  }
  auto file = statement(batches);
  const std::string first = "cloister-statement\t1\t";
  file.replace(0, file.find('\n'), first + sha256Hex(first).substr(0, kLineCheck));
  file.erase(file.rfind("seal\t"));
  const auto digest = sha256Hex(file);
  file += "seal\t" + digest + '\t' + provider_.sign(digest) + '\n';
  const auto report = verify(file);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, 0U);
  EXPECT_GT(report.seals.bare, 0U);
}

// No more rows are held than a seal may cover, twice.
TEST_F(SealedStatement, ManyRowsWithoutASealAreHeldNotForEver) {
  Batches batches = {{"nd-1", 1, "boot", {}}};
  Segment segment;
  const auto add = [&](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      batches.back().rows.push_back({kTenant, "", "", Meter::cpu, i + 1, kMonth.from, kMonth.from + 1, ""});
      if (segment.rows < kMostSealed) cover(sha_, segment, batches.back().rows.back());
    }
  };
  add(3 * kMostSealed + 7);
  segment = {};
  add(kMostSealed);
  batches.back().rows.push_back(sealRow(host_, "nd-1", kTenant, segment));
  const auto report = verify(batches);
  EXPECT_EQ(report.finding, "");
  EXPECT_EQ(report.seals.sealed, kMostSealed);
  EXPECT_EQ(report.seals.bare, 3 * kMostSealed + 7);
}

}  // namespace
}  // namespace cloister::metering
