// The sampler's seals: that all rows of a tenant come under one, whatever happens to the node in between.
#include <set>

#include "metering/base/calendar.h"
#include "metering/base/sql.h"
#include "metering/readings/sampler.h"
#include "tests/unit/metering/readings/sealed_rows.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kHourStart = 472'222 * kHour;

// Seconds of an hour.
Moment at(std::int64_t seconds) {
  return {static_cast<std::uint64_t>(1'000'000 + seconds) * 1'000'000'000U, kHourStart + seconds * kSecond};
}

class SealsTest : public testing::Test {
 protected:
  void SetUp() override { restart(); }
  void restart() {
    sampler.reset();
    spool.reset();
    auto opened = Spool::open(scratch.file("spool.db"), "nd-1");
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    spool = std::move(opened).value();
    auto made = Sampler::open(*spool, "boot", hostKey());
    ASSERT_TRUE(made.ok()) << made.error().message();
    sampler = std::move(made).value();
  }
  void use(const std::string& tenant, std::int64_t second) {
    sampler->network(tenant, {++bytes, 0, bytes, 0}, at(second));
  }
  void flush(std::int64_t second) {
    const auto done = sampler->flush(at(second));
    ASSERT_TRUE(done.ok()) << done.error().message();
  }
  // Windows of ten seconds with two rows each.
  void run(std::int64_t from, std::int64_t to, const std::string& tenant = "tn-1") {
    for (auto second = from; second < to; second += 10) {
      use(tenant, second);
      flush(second + 10);
    }
  }
  std::vector<UsageBatch> batches() { return spool->pending(100'000).value(); }
  SealCounts counts(const std::string& tenant = "tn-1") {
    const auto result = sealedRows(batches(), tenant);
    EXPECT_EQ(result.finding, "");
    return result.counts;
  }
  std::vector<UsageRow> seals() {
    std::vector<UsageRow> found;
    for (const auto& batch : batches()) {
      for (const auto& row : batch.rows) {
        if (row.meter == Meter::seal) found.push_back(row);
      }
    }
    return found;
  }

  ScratchDirectory scratch;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Sampler> sampler;
  std::uint64_t bytes = 0;
};

TEST_F(SealsTest, AnHourEndsWithASealOverAllItsRows) {
  run(3000, 3590);
  EXPECT_TRUE(seals().empty());
  EXPECT_EQ(counts().open, 118U);
  run(3590, 3600);
  ASSERT_EQ(seals().size(), 1U);
  EXPECT_EQ(seals().front().quantity, 120U);
  EXPECT_EQ(seals().front().from, kHourStart + 3000 * kSecond);
  EXPECT_EQ(seals().front().to, kHourStart + kHour);
  EXPECT_EQ(batches().back().rows.back().meter, Meter::seal) << "with the last window, in one commit";
  EXPECT_EQ(counts().sealed, 120U);
  run(3600, 7200);
  EXPECT_EQ(counts().sealed, 840U);
  EXPECT_EQ(counts().seals, 2U);
  EXPECT_EQ(counts().bare + counts().open, 0U);
}

TEST_F(SealsTest, ARestartAtAnyMomentNeitherBreaksNorDoublesASeal) {
  for (std::int64_t second = 3500; second < 7300; second += 10) {
    use("tn-1", second);
    if (second % 30 == 0) restart();
    flush(second + 10);
    if (second % 70 == 0 || second == 3590) restart();
  }
  EXPECT_EQ(counts().seals, 2U);
  EXPECT_EQ(counts().bare, 0U);
  EXPECT_GT(counts().sealed, 400U);
}

TEST_F(SealsTest, AFailedCommitNeitherBreaksNorDoublesASeal) {
  run(3500, 3590);
  use("tn-1", 3590);
  auto other = Connection::open(scratch.file("spool.db"), "test");
  ASSERT_TRUE(other.ok());
  for (const char* table : {"batches", "segments", "meta"}) {
    const std::string trigger =
        std::string("CREATE TRIGGER refuse BEFORE INSERT ON ") + table + " BEGIN SELECT RAISE(ABORT, 'no'); END";
    ASSERT_TRUE(other->exec(trigger.c_str()).ok());
    EXPECT_FALSE(sampler->flush(at(3600), Flush::all).ok() && table == std::string("meta"));
    ASSERT_TRUE(other->exec("DROP TRIGGER refuse").ok());
  }
  run(3600, 7210);
  EXPECT_EQ(counts().seals, 2U);
  EXPECT_EQ(counts().bare, 0U);
  EXPECT_EQ(counts().sealed, 2U * (10 + 360));
}

TEST_F(SealsTest, ATenantThatIsForgottenIsSealedWithTheOpenWindow) {
  run(100, 200);
  use("tn-1", 203);
  use("tn-2", 203);
  sampler->forgetTenant("tn-1");
  flush(210);
  ASSERT_EQ(seals().size(), 1U);
  EXPECT_EQ(seals().front().tenantId, "tn-1");
  EXPECT_EQ(counts().sealed, 22U);
  EXPECT_EQ(counts().open, 0U);
  // What comes later all the same is of a segment of its own.
  run(300, 320);
  flush(3600);
  run(3600, 3610);
  EXPECT_EQ(counts().sealed, 26U);
  EXPECT_EQ(counts().open, 2U);
}

TEST_F(SealsTest, ALostSpoolCostsTheCoverOfTheHourAndNoRow) {
  run(3000, 3100);
  auto all = batches();
  sampler.reset();
  spool.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(scratch.file("spool.db") + suffix);
  restart();
  run(3100, 3600);
  const auto later = batches();
  all.insert(all.end(), later.begin(), later.end());
  const auto result = sealedRows(all);
  EXPECT_EQ(result.finding, "");
  EXPECT_EQ(result.counts.bare, 20U);
  EXPECT_EQ(result.counts.firstBare, 1U);
  EXPECT_EQ(result.counts.sealed, 100U);
}

TEST_F(SealsTest, AWindowOverTheHoursEndBelongsToWhereItBegan) {
  use("tn-1", 3595);
  flush(9000);  // the node was away
  use("tn-1", 9005);
  flush(9010);
  ASSERT_EQ(seals().size(), 1U);
  EXPECT_EQ(seals().front().quantity, 2U);
  EXPECT_EQ(seals().front().to, kHourStart + 9000 * kSecond);
}

TEST_F(SealsTest, AStepBackOfTheClockEndsASegment) {
  run(3600, 3650);
  use("tn-1", 3651);
  flush(100);
  EXPECT_EQ(counts().sealed, 12U);
  run(110, 200);
  run(3600, 3610);
  EXPECT_EQ(counts().bare, 0U);
  EXPECT_EQ(counts().seals, 2U);
}

TEST_F(SealsTest, SignaturesOfManyTenantsAreSpreadAndStayBeforeTheNextWindow) {
  constexpr std::size_t kTenants = kSealsAtOnce * 2 + 100;
  const auto all = [&](std::int64_t second) {
    for (std::size_t i = 0; i < kTenants; ++i) use("tn-" + std::to_string(i), second);
  };
  all(3595);
  flush(3600);
  EXPECT_EQ(seals().size(), kSealsAtOnce);
  flush(3601);
  EXPECT_EQ(seals().size(), 2 * kSealsAtOnce);
  restart();  // killed in between: the rest is still due
  all(3605);
  flush(3610);
  EXPECT_EQ(seals().size(), kTenants);
  for (const auto& row : seals()) EXPECT_EQ(row.to, kHourStart + kHour);
  for (std::size_t i = 0; i < kTenants; i += 97) {
    const auto one = counts("tn-" + std::to_string(i));
    EXPECT_EQ(one.sealed, 2U) << i;
    EXPECT_EQ(one.open, 2U) << i;
  }
}

TEST_F(SealsTest, ALongSegmentEndsAndBatchesMayCutIt) {
  SpoolState state;
  state.windowFrom = kHourStart;
  constexpr std::uint64_t kRows = 2 * kMostSealed + 5;
  for (std::uint64_t i = 0; i < kRows; ++i) {
    state.amounts.change({"tn-1", "ap-1", "in-" + std::to_string(i), Meter::cpu, ""}) = i + 1;
  }
  ASSERT_TRUE(spool->commit(state, "boot", RowLists(1)));
  restart();
  EXPECT_EQ(*sampler->flush(at(10)), kRows);
  EXPECT_EQ(batches().size(), kRows / Spool::kRowsPerBatch + 1);
  EXPECT_EQ(seals().size(), 2U);
  flush(3600);
  run(3600, 3610);
  EXPECT_EQ(counts().sealed, kRows);
  EXPECT_EQ(counts().seals, 3U);
  EXPECT_EQ(counts().open, 2U);
}

// A ledger goes from chain to chain with the rows, so those of one stand together whatever they are of.
TEST_F(SealsTest, RowsOfATenantStandTogether) {
  FakeGroup group(scratch.file("group"));
  group.unified(7, 100);
  for (int i = 0; i < 6; ++i) {
    const auto name = "in-" + std::to_string(i);
    const Subject one{name + "-1", "tn-" + std::to_string(i % 3), "ap", name, 10U + static_cast<unsigned>(i), {1000}};
    ASSERT_TRUE(sampler->add(one, group.descriptors(), Origin::launched, at(1)).ok());
    use(one.tenantId, 2);
  }
  EXPECT_EQ(sampler->sample(at(3)), 0U);
  ASSERT_TRUE(sampler->finish("in-4-1", at(4)).ok());
  sampler->forget("in-4-1");
  sampler->forgetTenant("tn-2");
  flush(10);
  std::vector<std::string> tenants;
  std::set<std::string> kinds;
  for (const auto& batch : batches()) {
    for (const auto& row : batch.rows) {
      if (row.meter == Meter::seal) continue;
      if (tenants.empty() || tenants.back() != row.tenantId) tenants.push_back(row.tenantId);
      kinds.insert(row.tenantId + ' ' + row.instanceId + ' ' + meterName(row.meter));
    }
  }
  EXPECT_EQ(tenants, (std::vector<std::string>{"tn-0", "tn-1", "tn-2"}));
  for (const char* kind : {"tn-0 in-3 memory", "tn-1 in-4 cpu", "tn-1 in-4 instance_state", "tn-1  network_external_in",
                           "tn-2 in-5 instance", "tn-2  network_internal_in"}) {
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
  EXPECT_EQ(seals().size(), 1U);
}

// Batches that went under new sequences keep their order, or no seal over them would hold.
TEST_F(SealsTest, ARefusedBatchKeepsItsPlace) {
  run(3500, 3600);
  ASSERT_TRUE(spool->renumber(batches()[3].sequence).ok());
  EXPECT_EQ(counts().sealed, 20U);
  run(3600, 3610);
  EXPECT_EQ(batches().size(), 11U);
  std::set<std::uint64_t> sequences;
  for (const auto& batch : batches()) sequences.insert(batch.sequence);
  EXPECT_EQ(sequences.size(), 11U);
  EXPECT_EQ(counts().bare, 0U);
}

}  // namespace
}  // namespace cloister::metering
