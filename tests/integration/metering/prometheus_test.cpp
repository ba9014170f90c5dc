// Debian's Prometheus scrapes the page of 10,000 tenants, and promtool finds no fault in it.
#include <Poco/JSON/Parser.h>
#include <Poco/Net/NetException.h>
#include <Poco/Process.h>
#include <Poco/Thread.h>
#include <Poco/URI.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <limits>
#include <sstream>

#include "api/metrics.h"
#include "tests/bench/metrics_world.h"
#include "tests/integration/patience.h"
#include "tests/unit/api/metrics_page.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

using api::ask;
using api::freePort;

constexpr int kTenants = 8'000;
constexpr const char* kAwkward = "a\\b\"c\nd} 1\n# \xff\xc3\xa9";
constexpr const char* kAwkwardInPrometheus = "a\\b\"c\nd} 1\n# \\xff\xc3\xa9";

class Prometheus {
 public:
  Prometheus(const ScratchDirectory& scratch, std::uint16_t target) : port_(freePort()) {
    writeFile(scratch.file("prometheus.yml"),
              "global:\n  scrape_interval: 10s\n  scrape_timeout: 10s\nscrape_configs:\n  - job_name: cloister\n"
              "    static_configs:\n      - targets: [\"127.0.0.1:" +
                  std::to_string(target) + "\"]\n");
    const std::string command =
        "exec setpriv --pdeathsig KILL prometheus --config.file=" + scratch.file("prometheus.yml") +
        " --storage.tsdb.path=" + scratch.file("data") + " --web.listen-address=127.0.0.1:" + std::to_string(port_) +
        " --log.level=warn >" + scratch.file("log") + " 2>&1";
    process_ = std::make_unique<Poco::ProcessHandle>(Poco::Process::launch("/bin/sh", {"-c", command}));
  }
  ~Prometheus() {
    ::kill(process_->id(), SIGKILL);
    (void)process_->wait();
  }
  Prometheus(const Prometheus&) = delete;
  Prometheus& operator=(const Prometheus&) = delete;

  // The first sample of the answer; NaN: there is none.
  [[nodiscard]] double value(const std::string& expression) const {
    const auto result = query(expression);
    if (!result || result->empty()) return std::numeric_limits<double>::quiet_NaN();
    return std::stod(result->getObject(0)->getArray("value")->getElement<std::string>(1));
  }
  [[nodiscard]] std::string label(const std::string& expression, const std::string& name) const {
    const auto result = query(expression);
    if (!result || result->empty()) return {};
    return result->getObject(0)->getObject("metric")->optValue<std::string>(name, "");
  }

 private:
  [[nodiscard]] Poco::JSON::Array::Ptr query(const std::string& expression) const {
    std::string encoded;
    Poco::URI::encode(expression, "&+=#?", encoded);
    try {
      const auto answer = ask(port_, "GET", "/api/v1/query?query=" + encoded);
      if (answer.head.getStatus() != 200) return nullptr;
      return Poco::JSON::Parser()
          .parse(answer.body)
          .extract<Poco::JSON::Object::Ptr>()
          ->getObject("data")
          ->getArray("result");
    } catch (const Poco::Net::NetException&) {
      return nullptr;  // it starts
    }
  }

  std::uint16_t port_;
  std::unique_ptr<Poco::ProcessHandle> process_;
};

std::string contents(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class PrometheusScrape : public testing::Test {
 protected:
  void SetUp() override {
    bench::fillLedger(scratch.file("ledger.db"), kTenants);
    ledger = bench::openLedger(scratch.file("ledger.db"));
    exposition = std::make_shared<Exposition>(*ledger);
    bench::announce(*exposition, kTenants);
    exposition->setPlan(kAwkward, kAwkward);
    exposition->observe({"nd-1", 1, "boot", {{kAwkward, "", "", Meter::groupCpu, 1, 0, 1, ""}}});
    metrics = std::make_unique<api::Metrics>("127.0.0.1:" + std::to_string(port), store, exposition);
    metrics->served(200, 0.01);
  }

  ScratchDirectory scratch;
  std::uint16_t port = freePort();
  store::Store store{{scratch.file("cloister.db"), scratch.file("secret.key")}};
  std::unique_ptr<Ledger> ledger;
  std::shared_ptr<Exposition> exposition;
  std::unique_ptr<api::Metrics> metrics;
};

TEST_F(PrometheusScrape, TakesTwoHundredThousandSeries) {
  const Prometheus prometheus(scratch, port);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(test::patient(60));
  while (std::chrono::steady_clock::now() < until && !(prometheus.value("up") == 1)) Poco::Thread::sleep(250);
  ASSERT_EQ(prometheus.value("up"), 1) << contents(scratch.file("log"));
  EXPECT_GE(prometheus.value("scrape_samples_scraped"), kTenants * bench::kSeriesOfATenant);
  EXPECT_EQ(prometheus.value("scrape_samples_scraped - scrape_samples_post_metric_relabeling"), 0);
  EXPECT_EQ(prometheus.value("count(cloister_tenant_cpu_seconds_total)"), kTenants + 1);
  EXPECT_EQ(prometheus.value("cloister_metering_series_dropped"), 0);
  EXPECT_EQ(prometheus.value("cloister_metering_reconciliation_difference_ratio"), -1) << "spent, and by no instance";
  EXPECT_EQ(prometheus.label("cloister_tenant_info{tenant=~\"(?s:a.*)\"}", "tenant"), kAwkwardInPrometheus);
  EXPECT_EQ(contents(scratch.file("log")), "") << "it warns of duplicates and of samples out of order";
  std::printf("%.0f samples in %.3f s\n", prometheus.value("scrape_samples_scraped"),
              prometheus.value("scrape_duration_seconds"));
}

TEST_F(PrometheusScrape, PromtoolFindsNoFaultInThePage) {
  const auto check = [this](const std::string& page) {
    writeFile(scratch.file("page"), page);
    const auto command = "promtool check metrics <" + scratch.file("page") + " >" + scratch.file("faults") + " 2>&1";
    return Poco::Process::launch("/bin/sh", {"-c", command}).wait();
  };
  const auto page = ask(port, "GET", "/metrics").body;
  EXPECT_EQ(check(page), 0) << contents(scratch.file("faults"));
  EXPECT_EQ(contents(scratch.file("faults")), "");
  EXPECT_NE(check(page + "cloister_bytes{\n"), 0);
  EXPECT_NE(check("# HELP x_count Ends so.\n# TYPE x_count gauge\nx_count 1\n"), 0);
}

}  // namespace
}  // namespace cloister::metering
