#include "api/metrics.h"

#include <Poco/DeflatingStream.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/String.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <map>
#include <ostream>
#include <sstream>
#include <vector>

#include "api/server.h"
#include "metering/prometheus/text.h"

namespace cloister::api {
namespace {

constexpr int kAllNodes = 1'000'000;
constexpr int kSendSeconds = 10;
constexpr std::chrono::seconds kWholePage(60);
// Prometheus asks for gzip always, and the page is large and repeats itself.
constexpr int kCompression = 1;

prometheus::MetricFamily gauges(const std::string& name, const std::string& help,
                                const std::map<std::string, std::int64_t>& values) {
  prometheus::MetricFamily family{name, help, prometheus::MetricType::Gauge, {}};
  for (const auto& [state, count] : values) {
    prometheus::ClientMetric metric;
    metric.label.push_back({"state", state});
    metric.gauge.value = static_cast<double>(count);
    family.metric.push_back(metric);
  }
  return family;
}

// Counted when Prometheus asks: the store is the only truth.
std::vector<prometheus::MetricFamily> storeFamilies(store::Store& store) {
  std::map<std::string, std::int64_t> operations;
  for (const auto state : {model::OperationState::pending, model::OperationState::running,
                           model::OperationState::succeeded, model::OperationState::failed}) {
    operations[model::name(state)] = 0;
  }
  for (const auto& [state, count] : store.operations().countByState()) operations[model::name(state)] = count;
  std::map<std::string, std::int64_t> instances;
  for (const auto state : {model::InstanceState::pending, model::InstanceState::starting, model::InstanceState::running,
                           model::InstanceState::unhealthy, model::InstanceState::crashed,
                           model::InstanceState::draining, model::InstanceState::stopped}) {
    instances[model::name(state)] = 0;
  }
  for (const auto& record : store.instances().all()) ++instances[model::name(record.instance.state)];
  std::map<std::string, std::int64_t> nodes;
  prometheus::MetricFamily reports{"cloister_node_last_report_timestamp_seconds",
                                   "When the node last told its state, since the epoch.",
                                   prometheus::MetricType::Gauge,
                                   {}};
  for (const auto& node : store.nodes().list({"", kAllNodes})) {
    ++nodes[model::name(node.state)];
    prometheus::ClientMetric metric;
    metric.label = {{"node", node.id}, {"name", node.name}};
    metric.gauge.value = static_cast<double>(node.lastSeen) / 1e6;
    reports.metric.push_back(std::move(metric));
  }
  return {gauges("cloister_operations", "Operations on record, by state.", operations),
          gauges("cloister_instances", "Instances on record, by state.", instances),
          gauges("cloister_nodes", "Nodes, by state.", nodes), std::move(reports)};
}

// Where the page goes: the connection, or a compressor before it. False when the reader is gone or slower than it may
// be.
class Reader {
 public:
  explicit Reader(Request& request)
      : socket_(dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request.raw).socket()),
        until_(std::chrono::steady_clock::now() + kWholePage) {
    auto& response = request.rawResponse;
    const bool gzip = asksForGzip(request.header("Accept-Encoding"));
    socket_.setSendTimeout(Poco::Timespan(kSendSeconds, 0));
    response.setContentType("text/plain; version=0.0.4; charset=utf-8");
    response.set("Vary", "Accept-Encoding");
    if (gzip) response.set("Content-Encoding", "gzip");
    response.setChunkedTransferEncoding(request.raw.getVersion() != Poco::Net::HTTPMessage::HTTP_1_0);
    response.setKeepAlive(false);
    out_ = &response.send();
    if (gzip) {
      compressed_ =
          std::make_unique<Poco::DeflatingOutputStream>(*out_, Poco::DeflatingStreamBuf::STREAM_GZIP, kCompression);
    }
  }

  bool write(std::string_view block) {
    auto& out = compressed_ ? *compressed_ : *out_;
    out.write(block.data(), static_cast<std::streamsize>(block.size()));
    return out.good() && out_->good() && std::chrono::steady_clock::now() < until_;
  }
  void close() {
    if (compressed_) compressed_->close();
    out_->flush();
  }
  // The end of a page that is not whole must not look like the end of one.
  void cut() { socket_.shutdown(); }

 private:
  Poco::Net::StreamSocket socket_;
  std::chrono::steady_clock::time_point until_;
  std::ostream* out_ = nullptr;
  std::unique_ptr<Poco::DeflatingOutputStream> compressed_;
};

}  // namespace

struct Metrics::Registered {
  Registered(const std::string& listen, store::Store& records, std::shared_ptr<metering::Exposition> metering)
      : exposition(std::move(metering)),
        store(records),
        requests(prometheus::BuildCounter()
                     .Name("cloister_http_requests_total")
                     .Help("HTTP requests answered, by status code.")
                     .Register(*registry)),
        durations(prometheus::BuildHistogram()
                      .Name("cloister_http_request_duration_seconds")
                      .Help("Time from a request's head to the end of its answer; streams are left out.")
                      .Register(*registry)),
        duration(durations.Add({}, prometheus::Histogram::BucketBoundaries{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                                           0.25, 0.5, 1, 2.5, 5, 10, 30, 60})),
        router(routes()),
        server(Poco::Net::ServerSocket(Poco::Net::SocketAddress(listen)), router, store, limits(), [](int, double) {}) {
  }

  static ServerLimits limits() {
    ServerLimits few;
    few.workers = {4, 4, 64, 64, 8};
    few.room.connections = 128;
    return few;
  }

  Router routes() {
    Router table;
    table.add("GET", "/metrics", Access::open, [this](Request& request) { return page(request); });
    return table;
  }

  Answer page(Request& request) {
    std::string own;
    metering::appendFamilies(own, registry->Collect());
    try {
      metering::appendFamilies(own, storeFamilies(store));
    } catch (const std::exception& error) {
      // What the ledger says is worth a page without what the store says.
      spdlog::error("metrics: {}", error.what());
    }
    const auto tenants = exposition->page();
    Workers::becomeLong("reader");
    Reader reader(request);
    if (request.method != "HEAD") {
      bool whole = reader.write(own);
      if (whole) tenants.write([&](std::string_view block) { return whole = reader.write(block); });
      if (whole) {
        reader.close();
      } else {
        reader.cut();
      }
    }
    Answer answer;
    answer.sent = true;
    return answer;
  }

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::shared_ptr<metering::Exposition> exposition;
  store::Store& store;
  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& durations;
  prometheus::Histogram& duration;
  Router router;
  Server server;
};

Metrics::Metrics(const std::string& listen, store::Store& store, std::shared_ptr<metering::Exposition> exposition)
    : registered_(std::make_unique<Registered>(listen, store, std::move(exposition))) {}

Metrics::~Metrics() = default;

void Metrics::served(int status, double seconds) {
  registered_->requests.Add({{"code", std::to_string(status)}}).Increment();
  registered_->duration.Observe(seconds);
}

void forgetGoneTenants(store::Store& store, metering::Exposition& exposition) {
  // Asked one by one: a tenant that is created meanwhile is in the store before it is in the exposition.
  for (const auto& id : exposition.tenants()) {
    if (!store.tenants().find(id)) exposition.forget(id);
  }
}

bool asksForGzip(const std::string& acceptEncoding) {
  std::istringstream codings(acceptEncoding);
  for (std::string coding; std::getline(codings, coding, ',');) {
    const auto name = coding.substr(0, coding.find(';'));
    if (Poco::icompare(Poco::trim(name), std::string("gzip")) != 0) continue;
    const auto weight = coding.find("q=");
    return weight == std::string::npos || coding.find_first_of("123456789", weight) != std::string::npos;
  }
  return false;
}

}  // namespace cloister::api
