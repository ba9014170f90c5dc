#include "api/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <array>
#include <map>
#include <vector>

namespace cloister::api {
namespace {

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
class StoreStates : public prometheus::Collectable {
 public:
  explicit StoreStates(store::Store& store) : store_(store) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    try {
      std::map<std::string, std::int64_t> operations;
      for (const auto state : {model::OperationState::pending, model::OperationState::running,
                               model::OperationState::succeeded, model::OperationState::failed}) {
        operations[model::name(state)] = 0;
      }
      for (const auto& [state, count] : store_.operations().countByState()) operations[model::name(state)] = count;
      std::map<std::string, std::int64_t> instances;
      for (const auto state :
           {model::InstanceState::pending, model::InstanceState::starting, model::InstanceState::running,
            model::InstanceState::unhealthy, model::InstanceState::crashed, model::InstanceState::draining,
            model::InstanceState::stopped}) {
        instances[model::name(state)] = 0;
      }
      for (const auto& record : store_.instances().all()) ++instances[model::name(record.instance.state)];
      return {gauges("cloister_operations", "Operations on record, by state.", operations),
              gauges("cloister_instances", "Instances on record, by state.", instances)};
    } catch (const std::exception& error) {
      spdlog::error("metrics: {}", error.what());
      return {};
    }
  }

 private:
  store::Store& store_;
};

}  // namespace

struct Metrics::Registered {
  Registered(const std::string& listen, store::Store& store, std::shared_ptr<metering::Exposition> metering)
      : exposition(std::move(metering)),
        states(std::make_shared<StoreStates>(store)),
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
        exposer(listen, 2) {
    exposer.RegisterCollectable(registry);
    exposer.RegisterCollectable(states);
    exposer.RegisterCollectable(exposition);
  }

  std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  std::shared_ptr<metering::Exposition> exposition;
  std::shared_ptr<StoreStates> states;
  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Histogram>& durations;
  prometheus::Histogram& duration;
  prometheus::Exposer exposer;
};

Metrics::Metrics(const std::string& listen, store::Store& store, std::shared_ptr<metering::Exposition> exposition)
    : registered_(std::make_unique<Registered>(listen, store, std::move(exposition))) {}

Metrics::~Metrics() = default;

void Metrics::served(int status, double seconds) {
  registered_->requests.Add({{"code", std::to_string(status)}}).Increment();
  registered_->duration.Observe(seconds);
}

}  // namespace cloister::api
