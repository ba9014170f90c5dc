// What holds in either database when several processes share a ledger, when names have any byte, and when a program is
// older than its ledger.
#include <thread>

#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

TEST_F(LedgerTest, TwoWritersAtOnceBreakNoChain) {
  constexpr std::uint64_t kBatches = 40;
  auto other = Ledger::open(place->location());
  ASSERT_TRUE(other.ok()) << other.error().message();
  const auto write = [&](Ledger& which, const std::string& source) {
    for (std::uint64_t i = 1; i <= kBatches; ++i) {
      appendTo(which, i,
               {row("both", Meter::cpu, 1), row(source, Meter::cpu, 1, 0, "ap-" + std::to_string(i)),
                row("both", Meter::gap, 5, 0, "", "", "why")},
               source);
    }
  };
  std::thread second([&] { write(**other, "nd-2"); });
  write(*ledger, "nd-1");
  second.join();
  for (const auto* tenant : {"both", "nd-1", "nd-2"}) {
    const auto verified = ledger->verify(tenant);
    ASSERT_TRUE(verified.ok()) << verified.error().message();
    EXPECT_TRUE(verified->whole()) << tenant << ": row " << verified->badRow << ": " << verified->reason;
  }
  EXPECT_EQ(ledger->verify("both")->rows, 4 * kBatches);
  reopen();
  EXPECT_TRUE(total("both", Meter::cpu) == 2 * kBatches);
  EXPECT_TRUE(ledger->health(0).gapMilliseconds == 10 * kBatches);
}

TEST_F(LedgerTest, WhatAnotherProcessWroteIsTakenOver) {
  auto other = Ledger::open(place->location());
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(append(1, {row("t", Meter::cpu, 1)}), Appended::recorded);
  EXPECT_EQ(appendTo(**other, 1, {row("t", Meter::cpu, 1)}), Appended::repeated);
  EXPECT_EQ(appendTo(**other, 1, {row("t", Meter::cpu, 2)}), Appended::refused);
  EXPECT_EQ(appendTo(**other, 2, {row("t", Meter::cpu, 2), row("u", Meter::gap, 3, 0, "", "", "n")}),
            Appended::recorded);
  EXPECT_EQ(append(3, {row("t", Meter::cpu, 4)}), Appended::recorded);
  EXPECT_TRUE(total("t", Meter::cpu) == 7);
  EXPECT_EQ(ledger->health(0).refusedBatches, 1U);
  EXPECT_TRUE(ledger->health(0).gapMilliseconds == 3);
  EXPECT_EQ(ledger->verify("t")->rows, 3U);
  EXPECT_TRUE(ledger->verify("t")->whole());
}

TEST_F(LedgerTest, NamesMayHaveAnyByte) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::string ids[] = {every,
                             std::string("\0", 1),
                             std::string("a\0b", 3),
                             "a",
                             "'; DROP TABLE rows; --",
                             "\"",
                             "\\x41",
                             "A",
                             "\\",
                             "?1",
                             "$1",
                             "{blob}",
                             "\xff\xfe",
                             "tn-\xc3\xa9",
                             "tn-e\xcc\x81",
                             " a",
                             "a "};
  std::vector<UsageRow> rows;
  std::uint64_t quantity = 1;
  for (const auto& id : ids) rows.push_back(row(id, Meter::cpu, quantity++, 0, id, id, id));
  EXPECT_EQ(append(1, rows, every), Appended::recorded);
  EXPECT_EQ(append(1, rows, every), Appended::repeated);
  rows.pop_back();
  EXPECT_EQ(append(1, rows, every), Appended::refused);
  EXPECT_EQ(ledger->anomalies()->front().source, every);
  reopen();
  quantity = 1;
  for (const auto& id : ids) {
    EXPECT_TRUE(total(id, Meter::cpu) == quantity) << quantity;
    const auto sums = ledger->query({id, 0, INT64_MAX, id, id, UsageQuery::Group::instance});
    ASSERT_TRUE(sums.ok()) << sums.error().message();
    ASSERT_EQ(sums->size(), 1U);
    EXPECT_EQ(sums->front().appId, id);
    EXPECT_TRUE(sums->front().quantity == quantity);
    EXPECT_TRUE(ledger->verify(id)->whole()) << ledger->verify(id)->reason;
    ++quantity;
  }
}

// More than a page of the walk, and more batches than one.
TEST_F(LedgerTest, ALongChainIsWalkedToItsEnd) {
  std::uint64_t sequence = 0;
  for (int batch = 0; batch < 9; ++batch) {
    std::vector<UsageRow> rows;
    for (int i = 0; i < 1000; ++i) {
      rows.push_back(row("t", static_cast<Meter>(i % 15), static_cast<std::uint64_t>(i), batch, "ap-1",
                         "in-" + std::to_string(batch * 7 + i % 7)));
    }
    EXPECT_EQ(append(++sequence, rows), Appended::recorded);
  }
  auto verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->whole()) << verified->reason;
  EXPECT_EQ(verified->rows, 9000U);
  tamper("UPDATE rows SET quantity = quantity + 1 WHERE number = 2049");
  verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok());
  EXPECT_EQ(verified->badRow, 2049U) << verified->reason;
}

TEST_F(LedgerTest, ALedgerOfANewerProgramIsRefused) {
  ledger.reset();
  {
    auto database = Connection::open(place->location(), "test");
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->setFormat(77).ok());
  }
  const auto opened = Ledger::open(place->location());
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message().find("format 77 is newer than this program"), std::string::npos)
      << opened.error().message();
}

}  // namespace
}  // namespace cloister::metering
