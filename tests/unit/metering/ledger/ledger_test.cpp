// The ledger's cases, for every database that it may lie in: the unit tests have SQLite, the integration tests a
// PostgreSQL server of their own.
#include "metering/readings/accumulator.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

TEST_F(LedgerTest, ABatchCountsOnce) {
  const std::vector<UsageRow> rows{row("tn-1", Meter::cpu, 5), row("tn-2", Meter::cpu, 7), row("tn-1", Meter::cpu, 6)};
  EXPECT_EQ(append(1, rows), Appended::recorded);
  EXPECT_EQ(append(1, rows), Appended::repeated);
  reopen();
  EXPECT_EQ(append(1, rows), Appended::repeated);
  EXPECT_TRUE(total("tn-1", Meter::cpu) == 11);
  EXPECT_TRUE(total("tn-2", Meter::cpu) == 7);
  EXPECT_EQ(append(1, rows, "nd-2"), Appended::recorded);
  EXPECT_TRUE(total("tn-1", Meter::cpu) == 22);
  EXPECT_TRUE(ledger->verify("tn-1")->whole());
  EXPECT_EQ(ledger->verify("tn-1")->rows, 4U);
}

TEST_F(LedgerTest, ASequenceWithOtherContentIsRefusedAndRecorded) {
  EXPECT_EQ(append(1, {row("tn-1", Meter::cpu, 5)}), Appended::recorded);
  const std::vector<UsageRow> forgeries[] = {
      {},
      {row("tn-1", Meter::cpu, 6)},
      {row("tn-2", Meter::cpu, 5)},
      {row("tn-1", Meter::blockRead, 5)},
      {row("tn-1", Meter::cpu, 5, 1)},
      {row("tn-1", Meter::cpu, 5), row("tn-1", Meter::cpu, 5)},
      {row("tn-1", Meter::cpu, 5, 0, "ap-", "1in-1")},
  };
  for (const auto& forged : forgeries) EXPECT_EQ(append(1, forged), Appended::refused);
  EXPECT_TRUE(total("tn-1", Meter::cpu) == 5);
  const auto anomalies = ledger->anomalies();
  ASSERT_TRUE(anomalies.ok());
  EXPECT_EQ(anomalies->size(), std::size(forgeries));
  EXPECT_EQ(anomalies->front().source, "nd-1");
  EXPECT_EQ(anomalies->front().sequence, 1U);
  EXPECT_EQ(ledger->health(0).refusedBatches, std::size(forgeries));
  reopen();
  EXPECT_EQ(ledger->health(0).refusedBatches, std::size(forgeries));
  EXPECT_TRUE(ledger->verify("tn-1")->whole());
}

TEST_F(LedgerTest, SumsPassSixtyFourBitsAndLevelsAreMaxima) {
  EXPECT_EQ(append(1, {row("t", Meter::memoryByteSeconds, UINT64_MAX), row("t", Meter::memoryByteSeconds, UINT64_MAX),
                       row("t", Meter::memoryPeak, std::uint64_t{1} << 63U), row("t", Meter::memoryPeak, 9),
                       row("t", Meter::blockRead, 1'000'000'000'000'000'000)}),
            Appended::recorded);
  reopen();
  EXPECT_EQ(decimal(total("t", Meter::memoryByteSeconds)), "36893488147419103230");
  EXPECT_EQ(decimal(total("t", Meter::memoryPeak)), "9223372036854775808");
  const auto sums = ledger->query({"t", 0, INT64_MAX, "", "", UsageQuery::Group::tenant});
  ASSERT_TRUE(sums.ok()) << sums.error().message();
  ASSERT_EQ(sums->size(), 3U);
  EXPECT_EQ((*sums)[0].meter, Meter::memoryByteSeconds);
  EXPECT_EQ(decimal((*sums)[0].quantity), "36893488147419103230");
  EXPECT_EQ(decimal((*sums)[1].quantity), "9223372036854775808");
  EXPECT_EQ(decimal((*sums)[2].quantity), "1000000000000000000");
}

TEST_F(LedgerTest, QueryByTimeAppAndInstance) {
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 1, 0, "a", "i1"), row("t", Meter::cpu, 2, 0, "a", "i2"),
                       row("t", Meter::cpu, 4, 0, "b", "i3"), row("u", Meter::cpu, 1000, 0, "a", "i1")}),
            Appended::recorded);
  EXPECT_EQ(append(2, {row("t", Meter::cpu, 8, 1, "a", "i1"), row("t", Meter::networkExternalIn, 16, 1, "", "")}),
            Appended::recorded);
  EXPECT_EQ(append(3, {row("t", Meter::cpu, 32, 2, "a", "i1"), row("t", Meter::cpu, 64, 0, "a", "i1")}),
            Appended::recorded);

  const auto ask = [&](const UsageQuery& query) {
    auto sums = ledger->query(query);
    EXPECT_TRUE(sums.ok());
    return sums.ok() ? *sums : std::vector<UsageSum>{};
  };
  auto sums = ask({"t", 0, INT64_MAX, "", "", UsageQuery::Group::app});
  ASSERT_EQ(sums.size(), 3U);
  EXPECT_EQ(sums[0].appId, "");
  EXPECT_EQ(sums[0].meter, Meter::networkExternalIn);
  EXPECT_EQ(sums[1].appId, "a");
  EXPECT_TRUE(sums[1].quantity == 1 + 2 + 8 + 32 + 64);
  EXPECT_EQ(sums[1].from, 0);
  EXPECT_EQ(sums[1].to, 3 * kWindow);
  EXPECT_TRUE(sums[2].quantity == 4);

  sums = ask({"t", kWindow, 2 * kWindow, "", "", UsageQuery::Group::tenant});
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_TRUE(sums[0].quantity == 8);
  EXPECT_TRUE(sums[1].quantity == 16);

  sums = ask({"t", 0, kWindow, "a", "", UsageQuery::Group::instance});
  ASSERT_EQ(sums.size(), 2U);
  EXPECT_EQ(sums[0].instanceId, "i1");
  EXPECT_TRUE(sums[0].quantity == 1 + 64);
  EXPECT_EQ(sums[1].instanceId, "i2");

  sums = ask({"t", 0, INT64_MAX, "a", "i2", UsageQuery::Group::app});
  ASSERT_EQ(sums.size(), 1U);
  EXPECT_TRUE(sums[0].quantity == 2);
  EXPECT_TRUE(ask({"nobody", 0, INT64_MAX, "", "", UsageQuery::Group::app}).empty());
  EXPECT_TRUE(ask({"t", 0, INT64_MAX, "' OR 1=1 --", "", UsageQuery::Group::app}).empty());
}

TEST_F(LedgerTest, RowsCannotBeChangedThroughSql) {
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 5)}), Appended::recorded);
  auto database = Connection::open(place->location(), "test");
  ASSERT_TRUE(database.ok());
  for (const char* sql :
       {"UPDATE rows SET quantity = 1", "DELETE FROM rows", "UPDATE batches SET sequence = 2", "DELETE FROM batches"}) {
    EXPECT_FALSE(database->exec(sql).ok()) << sql;
  }
}

TEST_F(LedgerTest, TamperingIsFoundAndTheRowNamed) {
  const struct {
    const char* sql;
    std::uint64_t badRow;
  } cases[] = {
      {"UPDATE rows SET quantity = quantity | 4096 WHERE number = 3", 3},
      {"UPDATE rows SET window_to = window_to + 1 WHERE number = 2", 2},
      {"UPDATE rows SET meter = meter + 1 WHERE number = 4", 4},
      {"UPDATE rows SET hash = {sqlite: zeroblob(32)}{postgres: decode(repeat('00', 32), 'hex')} WHERE number = 5", 5},
      {"UPDATE rows SET hash = {sqlite: x'00'}{postgres: '\\x00'} WHERE number = 1", 1},
      {"UPDATE rows SET batch = 2 WHERE number = 1", 1},
      {"UPDATE rows SET app = (SELECT id FROM names WHERE text = 'u') WHERE number = 3", 3},
      {"UPDATE rows SET note = 99999 WHERE number = 6", 6},
      {"UPDATE names SET text = 'ap-2' WHERE text = 'ap-1'", 1},
      {"UPDATE batches SET sequence = 77 WHERE sequence = 2", 4},
      {"DELETE FROM rows WHERE number = 4", 4},
      {"DELETE FROM rows WHERE number = 6", 6},
      {"UPDATE rows SET number = 60 WHERE number = 6", 6},
      {"INSERT INTO rows SELECT tenant, 7, batch, app, instance, meter, 1, window_from, window_to, note, hash FROM "
       "rows "
       "WHERE number = 6 AND tenant = (SELECT id FROM names WHERE text = 't')",
       7},
      {"UPDATE heads SET hash = {sqlite: zeroblob(32)}{postgres: decode(repeat('00', 32), 'hex')}", 6},
      {"UPDATE heads SET totals = {sqlite: zeroblob(256)}{postgres: decode(repeat('00', 256), 'hex')}", 7},
      {"UPDATE rows SET batch = 99 WHERE number = 2", 2},
      {"DELETE FROM names WHERE text = 'boot'", 1},
      {"UPDATE rows SET number = -1 WHERE number = 2", 1},
  };
  for (const auto& [sql, badRow] : cases) {
    startAnew();
    EXPECT_EQ(append(1, {row("t", Meter::cpu, 1), row("t", Meter::cpu, 2), row("t", Meter::cpu, 3)}),
              Appended::recorded);
    EXPECT_EQ(append(2, {row("t", Meter::cpu, 4), row("u", Meter::cpu, 9, 0, "", "", "u"), row("t", Meter::cpu, 5),
                         row("t", Meter::cpu, 6)}),
              Appended::recorded);
    ASSERT_TRUE(ledger->verify("t")->whole());
    tamper(sql);
    const auto verified = ledger->verify("t");
    ASSERT_TRUE(verified.ok()) << sql;
    EXPECT_EQ(verified->badRow, badRow) << sql << ": " << verified->reason;
    EXPECT_FALSE(verified->reason.empty());
  }
}

// Written out by hand from the header's description: an encoding that changes breaks every chain there is.
TEST_F(LedgerTest, TheChainIsAsDocumented) {
  EXPECT_EQ(append(7, {{"t", "a", "", Meter::cpu, 0x0102, 1, 2, ""}}), Appended::recorded);
  auto database = Connection::open(place->location(), "test");
  ASSERT_TRUE(database.ok());
  auto statement = database->prepare("SELECT hash FROM rows");
  ASSERT_TRUE(statement.ok());
  ASSERT_EQ(statement->step(), Statement::Step::row);
  // sha256 of 32 zero bytes, 01, 0100000000000000, 04000000 "nd-1", 0700000000000000, 04000000 "boot", 01000000 "t",
  // 01000000 "a", 00000000, 00, 0201000000000000, 0100000000000000, 0200000000000000, 00000000
  EXPECT_EQ(hexadecimal(statement->bytes(0)), "163d52bdea7ecf2f32af35196d063ba1de7eef0df2478223b93bab46fd7fb41a");
}

TEST_F(LedgerTest, ATransactionThatFailsLeavesNothing) {
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 1)}), Appended::recorded);
  tamper(
      "{sqlite: CREATE TRIGGER refuse BEFORE INSERT ON rows WHEN NEW.quantity = 13 BEGIN SELECT RAISE(ABORT, 'no'); "
      "END}"
      "{postgres: ALTER TABLE rows ADD CONSTRAINT refuse CHECK(quantity <> 13)}");
  const auto failed = ledger->append({"nd-1", 2, "boot", {row("t", Meter::cpu, 2), row("new", Meter::cpu, 13)}}, 1);
  ASSERT_FALSE(failed.ok());
  EXPECT_TRUE(total("t", Meter::cpu) == 1);
  tamper("{sqlite: DROP TRIGGER refuse}{postgres: ALTER TABLE rows DROP CONSTRAINT refuse}");
  EXPECT_EQ(append(2, {row("t", Meter::cpu, 2), row("new", Meter::cpu, 13)}), Appended::recorded);
  EXPECT_TRUE(total("t", Meter::cpu) == 3);
  EXPECT_TRUE(total("new", Meter::cpu) == 13);
  EXPECT_TRUE(ledger->verify("t")->whole());
  EXPECT_TRUE(ledger->verify("new")->whole());
}

TEST_F(LedgerTest, RowsWithoutSenseAreRefused) {
  EXPECT_FALSE(ledger->append({"", 1, "boot", {}}, 1).ok());
  EXPECT_FALSE(ledger->append({"nd-1", 1, "boot", {{"", "", "", Meter::cpu, 1, 0, 1, ""}}}, 1).ok());
  EXPECT_FALSE(ledger->append({"nd-1", 1, "boot", {{"t", "", "", Meter::cpu, 1, 5, 5, ""}}}, 1).ok());
  EXPECT_TRUE(ledger->totals().empty());
}

TEST_F(LedgerTest, HealthCountsGapsByReason) {
  EXPECT_EQ(append(1, {row("t", Meter::gap, 1500, 0, "", "", gap::kCounterReset),
                       row("t", Meter::gap, 500, 0, "", "", gap::kVanished),
                       row("u", Meter::gap, 1000, 3, "", "", gap::kUnreadable)}),
            Appended::recorded);
  reopen();
  const auto health = ledger->health(kWindow);
  EXPECT_TRUE(health.gapMilliseconds == 3000);
  EXPECT_EQ(health.counterResets, 1U);
  EXPECT_EQ(health.finalReadsMissed, 2U);
}

TEST_F(LedgerTest, TheNewestWindowIsNoneThatLiesAhead) {
  const auto receive = [this](std::uint64_t sequence, const std::string& tenant, std::int64_t window,
                              std::int64_t received) {
    const auto done = ledger->append({"nd-1", sequence, "boot", {row(tenant, Meter::cpu, 1, window)}}, received);
    ASSERT_TRUE(done.ok()) << done.error().message();
  };
  receive(1, "t", 3, 5 * kWindow);
  EXPECT_EQ(ledger->health(9 * kWindow).latest, 4 * kWindow);
  receive(2, "t", 360, 6 * kWindow);  // labelled an hour ahead
  reopen();
  EXPECT_EQ(ledger->health(9 * kWindow).latest, 6 * kWindow) << "when it came";
  receive(3, "t", 2, 3 * kWindow);  // our own clock was set back
  receive(4, "u", 2, 3 * kWindow);
  EXPECT_EQ(ledger->health(9 * kWindow).latest, 3 * kWindow);
  EXPECT_EQ(ledger->health(2 * kWindow).latest, 0);
}

}  // namespace
}  // namespace cloister::metering
