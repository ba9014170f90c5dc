// What the ledger shows of itself, in every database that it may lie in.
#include <cerrno>

#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

class LedgerEvidence : public LedgerTest {
 protected:
  UsageRow gapRow(const std::string& tenant, std::int64_t window, const std::string& why) {
    return row(tenant, Meter::gap, 1500, window, "ap-1", "in-1", why);
  }
};

TEST_F(LedgerEvidence, AHeadIsTheEndOfItsChain) {
  const auto none = ledger->head("t");
  ASSERT_TRUE(none.ok()) << none.error().message();
  EXPECT_EQ(none->rows, 0U);
  EXPECT_EQ(none->recordedAt, 0);
  ASSERT_TRUE(ledger->append({"nd-1", 1, "boot", {row("t", Meter::cpu, 1), row("u", Meter::cpu, 2)}}, 77).ok());
  ASSERT_TRUE(ledger->append({"nd-1", 2, "boot", {row("t", Meter::cpu, 3)}}, 78).ok());
  const auto head = ledger->head("t");
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->rows, 2U);
  EXPECT_EQ(head->recordedAt, 78);
  auto database = Connection::open(place->location(), "test");
  ASSERT_TRUE(database.ok());
  auto stored = database->prepare("SELECT hash FROM rows WHERE number = 2");
  ASSERT_TRUE(stored.ok());
  ASSERT_EQ(stored->step(), Statement::Step::row);
  EXPECT_EQ(hexadecimal(stored->bytes(0)), hexadecimal(head->hash));

  const auto first = ledger->heads(0, 1);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->size(), 1U);
  EXPECT_EQ(first->front().tenantId, "t");
  const auto rest = ledger->heads(first->front().key, 9);
  ASSERT_TRUE(rest.ok());
  ASSERT_EQ(rest->size(), 1U);
  EXPECT_EQ(rest->front().tenantId, "u");
  EXPECT_EQ(rest->front().recordedAt, 77);
}

TEST_F(LedgerEvidence, GapsAreListedWithTheirReasonsInPages) {
  append(1, {row("t", Meter::cpu, 1), gapRow("t", 0, gap::kCounterReset), gapRow("u", 0, gap::kVanished),
             gapRow("t", 1, gap::kVanished)});
  append(2, {gapRow("t", 5, gap::kRestarted), row("t", Meter::cpu, 1, 5)}, "nd-2");
  GapQuery query;
  query.tenantId = "t";
  const auto own = ledger->gaps(query);
  ASSERT_TRUE(own.ok()) << own.error().message();
  ASSERT_EQ(own->size(), 3U);
  EXPECT_EQ(own->at(0).number, 2U);
  EXPECT_EQ(own->at(0).reason, gap::kCounterReset);
  EXPECT_EQ(own->at(0).milliseconds, 1500U);
  EXPECT_EQ(own->at(0).appId, "ap-1");
  EXPECT_EQ(own->at(0).instanceId, "in-1");
  EXPECT_EQ(own->at(2).source, "nd-2");
  EXPECT_EQ(own->at(2).from, 5 * kWindow);
  EXPECT_EQ(own->at(2).to, 6 * kWindow);

  query.from = kWindow;
  query.to = 5 * kWindow;
  ASSERT_EQ(ledger->gaps(query)->size(), 1U);
  EXPECT_EQ(ledger->gaps(query)->front().reason, gap::kVanished);

  GapQuery all;
  all.limit = 1;
  std::string seen;
  for (auto page = ledger->gaps(all); page.ok() && !page->empty(); page = ledger->gaps(all)) {
    ASSERT_EQ(page->size(), 1U);
    seen += page->front().tenantId + std::to_string(page->front().number) + ' ';
    all.afterChain = page->front().chain;
    all.afterNumber = page->front().number;
  }
  EXPECT_EQ(seen, "t2 t3 t4 u1 ");
  query.tenantId = "nobody";
  EXPECT_TRUE(ledger->gaps(query)->empty());
}

TEST_F(LedgerEvidence, AnAnomalyHasBothDigests) {
  append(1, {row("t", Meter::cpu, 5)});
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 6)}), Appended::refused);
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 7)}), Appended::refused);
  const auto anomalies = ledger->anomalies();
  ASSERT_TRUE(anomalies.ok());
  ASSERT_EQ(anomalies->size(), 2U);
  EXPECT_EQ(anomalies->at(0).digest.size(), 64U);
  EXPECT_EQ(anomalies->at(0).stored, anomalies->at(1).stored);
  EXPECT_NE(anomalies->at(0).digest, anomalies->at(1).digest);
  EXPECT_NE(anomalies->at(0).digest, anomalies->at(0).stored);
  const auto older = ledger->anomalies(9, anomalies->at(0).id);
  ASSERT_TRUE(older.ok());
  ASSERT_EQ(older->size(), 1U);
  EXPECT_EQ(older->front().digest, anomalies->at(1).digest);
}

TEST_F(LedgerEvidence, AVerificationTellsHowFarItIsAndHoldsUpNobody) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 5000; ++i) rows.push_back(row("t", Meter::cpu, i));
  append(1, rows);
  std::vector<std::uint64_t> told;
  const auto whole = ledger->verify("t", [&](std::uint64_t so) {
    told.push_back(so);
    // In the middle of a chain: a read and an append go through, and are not of the state that is verified.
    EXPECT_TRUE(ledger->query({"t", 0, INT64_MAX, "", "", UsageQuery::Group::tenant}).ok());
    append(1 + told.size(), {row("t", Meter::cpu, 1)});
    return true;
  });
  ASSERT_TRUE(whole.ok()) << whole.error().message();
  EXPECT_TRUE(whole->whole()) << whole->reason;
  EXPECT_EQ(whole->rows, 5000U);
  EXPECT_EQ(told, (std::vector<std::uint64_t>{2048, 4096, 5000}));
  const auto ended = ledger->verify("t", [](std::uint64_t) { return false; });
  ASSERT_FALSE(ended.ok());
  EXPECT_EQ(ended.error().code, ECANCELED);
  EXPECT_EQ(ledger->verify("t")->rows, 5003U);
}

}  // namespace
}  // namespace cloister::metering
