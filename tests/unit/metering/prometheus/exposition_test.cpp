#include "metering/prometheus/exposition.h"

#include <prometheus/text_serializer.h>

#include "metering/readings/accumulator.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000'000;

class ExpositionTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Ledger::open(scratch.file("ledger.db"));
    ASSERT_TRUE(opened.ok());
    ledger = std::move(opened).value();
  }
  void record(std::uint64_t sequence, const std::vector<UsageRow>& rows, Exposition* exposition = nullptr) {
    const UsageBatch batch{"nd-1", sequence, "boot", rows};
    ASSERT_TRUE(ledger->append(batch, now).ok());
    if (exposition != nullptr) exposition->observe(batch);
  }
  UsageRow row(Meter meter, std::uint64_t quantity, const std::string& note = "") const {
    return {"tn-1", "ap-1", "in-1", meter, quantity, now - 10'000'000, now, note};
  }
  static bool has(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
  }
  static std::string text(const Exposition& exposition) {
    return prometheus::TextSerializer().Serialize(exposition.Collect());
  }

  std::int64_t now = kNow;
  ScratchDirectory scratch;
  std::unique_ptr<Ledger> ledger;
};

TEST_F(ExpositionTest, WaitingTimesAreTheNodesAndGoWithThem) {
  Exposition exposition(*ledger, [this] { return now; });
  exposition.setPressure("nd-1", "tn-1", {"memory", "full", 1'000'000});
  exposition.setPressure("nd-1", "tn-1", {"memory", "full", 2'500'000});
  const char* line =
      R"(cloister_tenant_pressure_seconds_total{tenant="tn-1",node="nd-1",resource="memory",kind="full"} 2.5)";
  EXPECT_TRUE(has(text(exposition), line)) << text(exposition);
  now += 61'000'000;
  EXPECT_FALSE(has(text(exposition), line)) << "a node that is silent for a minute says nothing";
}

TEST_F(ExpositionTest, TotalsAreTheLedgersInBaseUnits) {
  record(1, {row(Meter::cpu, 2'500'000'000), row(Meter::cpuThrottled, 1'000'000'000),
             row(Meter::memoryByteSeconds, 4000), row(Meter::memoryPeak, 77), row(Meter::oomKills, 1),
             row(Meter::blockRead, 10), row(Meter::blockWritten, 11), row(Meter::networkExternalIn, 12),
             row(Meter::networkInternalOut, 13), row(Meter::gap, 1500, gap::kCounterReset)});
  now += 5'000'000;
  const Exposition exposition(*ledger, [this] { return now; });
  const auto page = text(exposition);
  for (const char* line : {
           R"(cloister_tenant_cpu_seconds_total{tenant="tn-1"} 2.5)",
           R"(cloister_tenant_cpu_throttled_seconds_total{tenant="tn-1"} 1)",
           R"(cloister_tenant_memory_byte_seconds_total{tenant="tn-1"} 4)",
           R"(cloister_tenant_memory_peak_bytes{tenant="tn-1"} 77)",
           R"(cloister_tenant_oom_kills_total{tenant="tn-1"} 1)",
           R"(cloister_tenant_io_bytes_total{tenant="tn-1",direction="read"} 10)",
           R"(cloister_tenant_io_bytes_total{tenant="tn-1",direction="write"} 11)",
           R"(cloister_tenant_network_bytes_total{tenant="tn-1",direction="in",scope="external"} 12)",
           R"(cloister_tenant_network_bytes_total{tenant="tn-1",direction="out",scope="internal"} 13)",
           R"(cloister_metering_gap_seconds_total 1.5)",
           R"(cloister_metering_counter_resets_total 1)",
           R"(cloister_metering_final_reads_missed_total 0)",
           R"(cloister_metering_ledger_lag_seconds 5)",
       }) {
    EXPECT_TRUE(has(page, line)) << line << "\n" << page;
  }
}

TEST_F(ExpositionTest, LevelsComeFromTheNewestWindowAndGoStale) {
  Exposition exposition(*ledger, [this] { return now; });
  // One window in two batches: two instances of 5 s and 10 s.
  record(1, {row(Meter::memoryByteSeconds, 5'000'000), row(Meter::instanceSeconds, 10'000)}, &exposition);
  record(2,
         {row(Meter::memoryByteSeconds, 2'500'000), row(Meter::instanceSeconds, 10'000),
          row(Meter::diskByteSeconds, 10'000)},
         &exposition);
  exposition.setPlan("tn-1", "small");
  auto page = text(exposition);
  EXPECT_TRUE(has(page, R"(cloister_tenant_memory_bytes{tenant="tn-1"} 750)")) << page;
  EXPECT_TRUE(has(page, R"(cloister_tenant_instances{tenant="tn-1"} 2)"));
  EXPECT_TRUE(has(page, R"(cloister_tenant_disk_bytes{tenant="tn-1"} 1)"));
  EXPECT_TRUE(has(page, R"(cloister_tenant_info{tenant="tn-1",plan="small"} 1)"));
  now += 10'000'000;
  record(3, {row(Meter::memoryByteSeconds, 10'000), row(Meter::instanceSeconds, 10'000)}, &exposition);
  EXPECT_TRUE(has(text(exposition), R"(cloister_tenant_memory_bytes{tenant="tn-1"} 1)"));
  now += 120'000'000;
  EXPECT_TRUE(has(text(exposition), R"(cloister_tenant_memory_bytes{tenant="tn-1"} 0)"));
  exposition.setLive("tn-1", {123, 4, 5});
  EXPECT_TRUE(has(text(exposition), R"(cloister_tenant_memory_bytes{tenant="tn-1"} 123)"));
  exposition.forget("tn-1");
  page = text(exposition);
  EXPECT_EQ(page.find("cloister_tenant_memory_bytes{"), std::string::npos);
  EXPECT_NE(page.find("cloister_tenant_cpu_seconds_total{"), std::string::npos);
}

TEST_F(ExpositionTest, TotalsSurviveARestart) {
  record(1, {row(Meter::cpu, 1'000'000'000)});
  ledger.reset();
  SetUp();
  record(1, {row(Meter::cpu, 1'000'000'000)});
  record(2, {row(Meter::cpu, 2'000'000'000)});
  EXPECT_TRUE(has(text(Exposition(*ledger)), R"(cloister_tenant_cpu_seconds_total{tenant="tn-1"} 3)"));
}

}  // namespace
}  // namespace cloister::metering
