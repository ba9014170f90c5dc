#include "metering/prometheus/exposition.h"

#include <limits>
#include <map>
#include <sstream>

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
    std::string page;
    exposition.page().write([&page](std::string_view block) {
      page += block;
      return true;
    });
    return page;
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

// Zeros would be resets of counters that go on where they were as soon as the server is back.
TEST_F(ExpositionTest, ALedgerThatWasNeverReadHasNoSeries) {
  const auto away = Ledger::open("postgresql://me@127.0.0.1:1/x");
  ASSERT_TRUE(away.ok()) << away.error().message();
  Exposition exposition(**away, [this] { return now; });
  exposition.setPlan("tn-1", "small");
  exposition.setLive("tn-1", {1, 2, 3});
  EXPECT_EQ(text(exposition), "");
}

TEST_F(ExpositionTest, TotalsAreTheLedgersInBaseUnits) {
  record(1,
         {row(Meter::cpu, 2'500'000'000), row(Meter::cpuThrottled, 1'000'000'000), row(Meter::memoryByteSeconds, 4000),
          row(Meter::memoryPeak, 77), row(Meter::oomKills, 1), row(Meter::blockRead, 10), row(Meter::blockWritten, 11),
          row(Meter::blockReads, 14), row(Meter::networkExternalIn, 12), row(Meter::networkInternalOut, 13),
          row(Meter::gap, 1500, gap::kCounterReset)});
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
           R"(cloister_tenant_io_operations_total{tenant="tn-1",direction="read"} 14)",
           R"(cloister_tenant_io_operations_total{tenant="tn-1",direction="write"} 0)",
           R"(cloister_tenant_network_bytes_total{tenant="tn-1",direction="in",scope="external"} 12)",
           R"(cloister_tenant_network_bytes_total{tenant="tn-1",direction="out",scope="internal"} 13)",
           R"(cloister_metering_gap_seconds_total 1.5)",
           R"(cloister_metering_resets_total 1)",
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

TEST_F(ExpositionTest, LevelsGoOnAfterTheClockOfTheNodeWasSetBack) {
  Exposition exposition(*ledger, [this] { return now; });
  const auto use = [&](std::uint64_t sequence, std::uint64_t memory, std::int64_t ahead) {
    record(sequence,
           {{"tn-1", "ap-1", "in-1", Meter::memoryByteSeconds, memory, now + ahead - 10'000'000, now + ahead, ""}},
           &exposition);
  };
  const std::int64_t hour = 3'600'000'000;
  const std::string name = R"(cloister_tenant_memory_bytes{tenant="tn-1"} )";
  use(1, 70'000, hour);
  EXPECT_TRUE(has(text(exposition), name + "7"));
  now += 10'000'000;
  use(2, 90'000, 0);
  EXPECT_TRUE(has(text(exposition), name + "9"));
  use(3, 50'000, -10'000'000);
  EXPECT_TRUE(has(text(exposition), name + "9")) << "older than one that does not lie ahead";
  use(4, 80'000, hour);
  now += 70'000'000;
  EXPECT_TRUE(has(text(exposition), name + "0")) << "nothing was seen for a minute";
  EXPECT_TRUE(has(text(exposition), "cloister_metering_ledger_lag_seconds 70"));
}

TEST_F(ExpositionTest, TotalsSurviveARestart) {
  record(1, {row(Meter::cpu, 1'000'000'000)});
  ledger.reset();
  SetUp();
  record(1, {row(Meter::cpu, 1'000'000'000)});
  record(2, {row(Meter::cpu, 2'000'000'000)});
  EXPECT_TRUE(has(text(Exposition(*ledger)), R"(cloister_tenant_cpu_seconds_total{tenant="tn-1"} 3)"));
}

TEST_F(ExpositionTest, TotalsKeepEveryDigit) {
  // 2^53 + 1 bytes, 2^55 + 1 ns, and three times 2^64 - 1 byte-ms: none of them is a double.
  const auto most = std::numeric_limits<std::uint64_t>::max();
  record(1, {row(Meter::networkExternalIn, (1ULL << 53U) + 1), row(Meter::cpu, (1ULL << 55U) + 1),
             row(Meter::memoryByteSeconds, most), row(Meter::memoryByteSeconds, most),
             row(Meter::memoryByteSeconds, most)});
  const auto page = text(Exposition(*ledger));
  for (const char* line : {
           R"(cloister_tenant_network_bytes_total{tenant="tn-1",direction="in",scope="external"} 9007199254740993)",
           R"(cloister_tenant_cpu_seconds_total{tenant="tn-1"} 36028797.018963969)",
           R"(cloister_tenant_memory_byte_seconds_total{tenant="tn-1"} 55340232221128654.845)",
       }) {
    EXPECT_TRUE(has(page, line)) << line << "\n" << page;
  }
}

TEST_F(ExpositionTest, CountersNeverDecrease) {
  Exposition exposition(*ledger, [this] { return now; });
  std::map<std::string, double> before;
  // Steps that a double of the sum cannot hold, from 2^53 on.
  for (std::uint64_t i = 1; i <= 40; ++i) {
    record(i,
           {row(Meter::cpu, i == 1 ? 1ULL << 53U : i), row(Meter::cpuThrottled, i % 3), row(Meter::oomKills, i % 2),
            row(Meter::memoryByteSeconds, 7 * i)},
           &exposition);
    std::istringstream lines(text(exposition));
    for (std::string line; std::getline(lines, line);) {
      const auto blank = line.rfind(' ');
      const auto series = line.substr(0, blank);
      if (line.front() == '#' || series.find("_total{") == std::string::npos) continue;
      const double value = std::stod(line.substr(blank + 1));
      EXPECT_GE(value, before[series]) << line;
      before[series] = value;
    }
  }
  EXPECT_EQ(before.size(), 20U);
}

TEST_F(ExpositionTest, LimitHitsAreOnRecord) {
  {
    Exposition exposition(*ledger, [this] { return now; });
    record(1, {row(Meter::cpuThrottles, 5), row(Meter::oomKills, 2), row(Meter::pidsRefused, 7)}, &exposition);
    record(2, {row(Meter::cpuThrottles, 1), row(Meter::diskFull, 8), row(Meter::networkDropped, 9)}, &exposition);
  }
  Exposition exposition(*ledger, [this] { return now; });  // of the next cloisterd
  exposition.setPlan("tn-1", "small");
  const auto page = text(exposition);
  for (const char* hits : {R"(limit="memory"} 2)", R"(limit="cpu"} 6)", R"(limit="pids"} 7)", R"(limit="disk"} 8)",
                           R"(limit="network"} 9)"})
    EXPECT_TRUE(has(page, std::string(R"(cloister_tenant_limit_hits_total{tenant="tn-1",)") + hits)) << page;
}

TEST_F(ExpositionTest, ANewTenantsCountersBeginAtZero) {
  Exposition exposition(*ledger);
  exposition.setPlan("tn-1", "small");
  // A counter that first shows up with a value has no increase in Prometheus' eyes.
  EXPECT_TRUE(has(text(exposition), R"(cloister_tenant_cpu_seconds_total{tenant="tn-1"} 0)"));
}

TEST_F(ExpositionTest, AwkwardNamesStayInsideTheirLabel) {
  const std::string awkward = "a\\b\"c\nd} 1\n# \xff\xc3\xa9\xed\xa0\x80" + std::string(1, '\0');
  const char* label = R"(tenant="a\\b\"c\nd} 1\n# \\xff)"
                      "\xc3\xa9"
                      R"(\\xed\\xa0\\x80\\x00")";
  Exposition exposition(*ledger, [this] { return now; });
  exposition.setPlan(awkward, awkward);
  exposition.setPressure(awkward, awkward, {"cpu", "some", 1});
  const auto page = text(exposition);
  EXPECT_TRUE(has(page, "cloister_tenant_cpu_seconds_total{" + std::string(label) + "} 0")) << page;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(line.starts_with("cloister_") || line.starts_with("# "));
}

TEST_F(ExpositionTest, TheCapDropsWholeTenantsAndCountsTheirSeries) {
  const std::size_t each = 25;  // of a tenant with a plan and no pressure
  const auto shown = [](const std::string& page, const std::string& tenant) {
    std::size_t count = 0;
    const auto label = "{tenant=\"" + tenant + "\"";
    for (auto at = page.find(label); at != std::string::npos; at = page.find(label, at + 1)) ++count;
    return count;
  };
  record(1, {{"tn-0", "", "", Meter::cpu, 1, now - 10'000'000, now, ""}});
  for (const std::size_t most : {each * 3 - 1, each * 3, each * 10}) {
    Exposition exposition(
        *ledger, [this] { return now; }, most);
    for (const char* id : {"tn-1", "tn-2", "tn-3"}) exposition.setPlan(id, "small");
    exposition.setPressure("nd-1", "tn-3", {"cpu", "some", 1});
    const auto page = text(exposition);
    EXPECT_EQ(shown(page, "tn-1"), each);
    EXPECT_EQ(shown(page, "tn-2"), each);
    const bool all = most == each * 10;
    EXPECT_EQ(shown(page, "tn-3"), all ? each + 1 : 0);
    EXPECT_EQ(shown(page, "tn-0"), all ? 16U : 0U) << "gone, and therefore last, though it is the oldest";
    EXPECT_TRUE(has(page, "cloister_metering_series_dropped " + std::to_string(all ? 0 : each + 1 + 16))) << page;
  }
}

TEST_F(ExpositionTest, AReaderThatLeavesGetsNoMoreBlocks) {
  Exposition exposition(*ledger);
  for (int i = 0; i < 2000; ++i) exposition.setPlan("tn-" + std::to_string(i), "small");
  int blocks = 0;
  exposition.page().write([&blocks](std::string_view) { return ++blocks < 2; });
  EXPECT_EQ(blocks, 2);
}

TEST_F(ExpositionTest, SealsAreNoWindowAndBadOnesAreCounted) {
  Exposition exposition(*ledger, [] { return std::int64_t{20'000'000}; });
  exposition.observe(
      {"nd-1", 1, "boot", {{"tn-1", "", "", Meter::memoryByteSeconds, 70'000, 10'000'000, 20'000'000, ""}}});
  const auto page = text(exposition);
  exposition.observe({"nd-1", 2, "boot", {{"tn-1", "", "", Meter::seal, 9, 0, 30'000'000, ""}}});
  EXPECT_EQ(text(exposition), page) << "the hour that a seal covers is not the newest window";
  exposition.countBadSeals(2);
  exposition.countBadSeals(1);
  EXPECT_TRUE(has(text(exposition), "cloister_metering_bad_seals_total 3"));
}

TEST_F(ExpositionTest, TheNodesDifferencesAreShownOnceTheyAreKnown) {
  Exposition exposition(*ledger);
  const std::string name = "cloister_metering_reconciliation_difference_ratio{";
  EXPECT_EQ(text(exposition).find(name), std::string::npos);
  const auto batch = [](const std::string& node, Meter meter, std::uint64_t quantity,
                        const std::string& chain = "tn-1") {
    return UsageBatch{node, 1, "boot", {{chain, "", "", meter, quantity, 0, 10, ""}}};
  };
  exposition.observe(batch("nd-1", Meter::cpu, 3'000));
  EXPECT_EQ(text(exposition).find(name), std::string::npos);
  exposition.observe(batch("nd-1", Meter::groupCpu, 4'000));
  exposition.observe(batch("nd-1", Meter::groupCpu, 6'000, hostChain("nd-1")));
  exposition.observe(batch("nd-2", Meter::cpu, 1'500));
  exposition.observe(batch("nd-2", Meter::groupCpu, 1'000));
  const auto page = text(exposition);
  EXPECT_TRUE(has(page, name + R"(node="nd-1",against="groups"} -0.25)")) << page;
  EXPECT_TRUE(has(page, name + R"(node="nd-1",against="host"} -0.5)")) << page;
  EXPECT_TRUE(has(page, name + R"(node="nd-2",against="groups"} 0.5)")) << page;
  EXPECT_EQ(page.find(name + R"(node="nd-2",against="host")"), std::string::npos) << page;
}

TEST_F(ExpositionTest, AnErrorOfAnHourShowsAfterWeeksWithoutOne) {
  Exposition exposition(*ledger, [this] { return now; });
  std::uint64_t sequence = 0;
  const auto window = [&](std::uint64_t metered) {
    now += 10'000'000;
    const auto from = now - 10'000'000;
    // In two batches, as of a node with many tenants; the second comes in another minute now and then.
    exposition.observe({"nd-1", ++sequence, "boot", {{"tn-1", "", "in-1", Meter::cpu, metered, from, now, ""}}});
    const auto end = now;
    now += 3'000'000;
    exposition.observe({"nd-1", ++sequence, "boot", {{"tn-1", "", "", Meter::groupCpu, 1'000, from, end, ""}}});
    now = end;
  };
  const std::string line = R"(cloister_metering_reconciliation_difference_ratio{node="nd-1",against="groups"} )";
  for (int i = 0; i < 30 * 8640; ++i) window(1'000);
  EXPECT_TRUE(has(text(exposition), line + "0"));
  for (int i = 0; i < 180; ++i) window(900);
  const auto page = text(exposition);
  EXPECT_NEAR(std::stod(page.substr(page.find(line) + line.size())), -0.05, 0.001) << "of half the hour";
  for (int i = 0; i < 180; ++i) window(900);
  EXPECT_TRUE(has(text(exposition), line + "-0.1")) << text(exposition);
  for (int i = 0; i < 361; ++i) window(1'000);
  EXPECT_TRUE(has(text(exposition), line + "0"));
  now += 3'600'000'000;
  EXPECT_EQ(text(exposition).find(line), std::string::npos) << "nothing came for an hour";
}

TEST_F(ExpositionTest, AHostIsNoTenant) {
  Exposition exposition(*ledger, [this] { return now; });
  const UsageBatch batch{"nd-1",
                         1,
                         "boot",
                         {{hostChain("nd-1"), "", "", Meter::hostCpu, 9'000'000'000, now - 10'000'000, now, ""},
                          {hostChain("nd-1"), "", "", Meter::groupCpu, 2'500'000'000, now - 10'000'000, now, ""}}};
  ASSERT_TRUE(ledger->append(batch, now).ok());
  exposition.observe(batch);
  const auto page = text(exposition);
  EXPECT_TRUE(has(page, R"(cloister_host_cpu_seconds_total{node="nd-1"} 9)")) << page;
  EXPECT_TRUE(has(page, R"(cloister_host_tenants_cpu_seconds_total{node="nd-1"} 2.5)")) << page;
  EXPECT_EQ(page.find("tenant=\""), std::string::npos) << page;
  EXPECT_TRUE(exposition.tenants().empty());
}

}  // namespace
}  // namespace cloister::metering
