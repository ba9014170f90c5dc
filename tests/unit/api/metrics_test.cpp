#include "api/metrics.h"

#include <Poco/InflatingStream.h>
#include <Poco/StreamCopier.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/api/metrics_page.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::api {
namespace {

class MetricsTest : public testing::Test {
 protected:
  metering::ScratchDirectory scratch;
  std::uint16_t port = freePort();
  store::Store store{{scratch.file("cloister.db"), scratch.file("secret.key")}};
  std::unique_ptr<metering::Ledger> ledger = std::move(metering::Ledger::open(scratch.file("ledger.db"))).value();
  std::shared_ptr<metering::Exposition> exposition = std::make_shared<metering::Exposition>(*ledger);
  Metrics metrics{"127.0.0.1:" + std::to_string(port), store, exposition};
};

TEST_F(MetricsTest, ThePageHasOurOwnSeriesAndTheTenants) {
  const auto node = store.nodes().ensure("left");
  exposition->setPlan("tn-1", "small");
  metrics.served(200, 0.3);
  const auto answer = ask(port, "GET", "/metrics");
  EXPECT_EQ(answer.head.getStatus(), 200);
  EXPECT_EQ(answer.head.getContentType(), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_FALSE(answer.head.has("Content-Encoding"));
  for (const char* line : {
           "cloister_http_requests_total{code=\"200\"} 1\n",
           "cloister_http_request_duration_seconds_bucket{le=\"+Inf\"} 1\n",
           "cloister_operations{state=\"failed\"} 0\n",
           "cloister_instances{state=\"running\"} 0\n",
           "cloister_nodes{state=\"ready\"} 1\n",
           "cloister_tenant_info{tenant=\"tn-1\",plan=\"small\"} 1\n",
           "cloister_metering_series_dropped 0\n",
       }) {
    EXPECT_NE(answer.body.find(line), std::string::npos) << line << "\n" << answer.body;
  }
  const auto report = "cloister_node_last_report_timestamp_seconds{node=\"" + node.id + "\",name=\"left\"} ";
  const auto at = answer.body.find(report);
  ASSERT_NE(at, std::string::npos) << answer.body;
  EXPECT_NEAR(std::stod(answer.body.substr(at + report.size())), static_cast<double>(node.lastSeen) / 1e6, 1e-6);
}

TEST_F(MetricsTest, AReaderThatAsksForGzipGetsTheSamePageCompressed) {
  for (int i = 0; i < 3000; ++i) exposition->setPlan("tn-" + std::to_string(i), "small");
  const auto plain = ask(port, "GET", "/metrics", "identity");
  const auto packed = ask(port, "GET", "/metrics", "deflate, gzip;q=0.5");
  EXPECT_EQ(packed.head.get("Content-Encoding"), "gzip");
  EXPECT_LT(packed.body.size(), plain.body.size() / 5);
  std::istringstream bytes(packed.body);
  Poco::InflatingInputStream inflating(bytes, Poco::InflatingStreamBuf::STREAM_GZIP);
  std::string unpacked;
  Poco::StreamCopier::copyToString(inflating, unpacked);
  EXPECT_EQ(unpacked, plain.body);
}

TEST_F(MetricsTest, HeadsOldReadersAndOtherPathsAreAnswered) {
  const auto head = ask(port, "HEAD", "/metrics", "gzip");
  EXPECT_EQ(head.head.getStatus(), 200);
  EXPECT_TRUE(head.body.empty());
  const auto old = ask(port, "GET", "/metrics", "", Poco::Net::HTTPMessage::HTTP_1_0);
  EXPECT_FALSE(old.head.getChunkedTransferEncoding());
  EXPECT_NE(old.body.find("cloister_metering_series_dropped 0\n"), std::string::npos);
  EXPECT_EQ(ask(port, "POST", "/metrics").head.getStatus(), 405);
  EXPECT_EQ(ask(port, "GET", "/").head.getStatus(), 404);
}

TEST_F(MetricsTest, AStoreThatFailsLeavesTheTenantsPage) {
  exposition->setPlan("tn-1", "small");
  store.database().run("DROP TABLE nodes");
  const auto answer = ask(port, "GET", "/metrics");
  EXPECT_EQ(answer.head.getStatus(), 200);
  EXPECT_EQ(answer.body.find("cloister_nodes"), std::string::npos);
  EXPECT_NE(answer.body.find("cloister_tenant_info{tenant=\"tn-1\""), std::string::npos);
}

TEST_F(MetricsTest, TenantsThatTheStoreHasNoMoreLoseTheirLiveSeries) {
  store.plans().create("small", {1U << 20U, 1, 1, 1U << 20U, 1, 0, 1, 1, 1U << 20U, 1U << 20U, 1});
  const auto stays = store.tenants().create("stays", "small");
  exposition->setPlan(stays.id, "small");
  exposition->setPlan("tn-gone", "small");
  forgetGoneTenants(store, *exposition);
  EXPECT_EQ(exposition->tenants(), std::vector<std::string>{stays.id});
}

TEST(AcceptEncoding, GzipIsAskedForByName) {
  for (const char* yes : {"gzip", "deflate, GZIP", "gzip;q=0.1", "br;q=0, gzip ; q=1"})
    EXPECT_TRUE(asksForGzip(yes)) << yes;
  for (const char* no : {"", "identity", "deflate", "gzip;q=0", "gzip; q=0.000", "xgzip", "*"}) {
    EXPECT_FALSE(asksForGzip(no)) << no;
  }
}

}  // namespace
}  // namespace cloister::api
