// Metrics: `/metrics` for Prometheus, on a listener of its own: what cloisterd says about itself, and the tenants.
//
//   cloister_http_requests_total{code}   cloister_http_request_duration_seconds (histogram)
//   cloister_operations{state}           cloister_instances{state}            cloister_nodes{state}
//   cloister_node_last_report_timestamp_seconds{node,name}
//   cloister_tenant_*, cloister_metering_*: metering/prometheus/page.h
//
// prometheus-cpp counts; its Exposer does not serve. A Collectable hands it MetricFamily objects, whose values are
// doubles and whose text is made by the one TextSerializer that is built into its handler: there is no way to give it
// text, and that serializer takes 0.4 s and hundreds of megabytes for 200,000 series and prints neither 2^53 + 1 nor
// NaN right (tests/bench/metrics). So the registry's families are written by metering/prometheus/text.h and the
// tenants' page is streamed behind them, by the same Server as the API, which also ends slow and malformed requests.
// The answer is text/plain; version=0.0.4, compressed when the reader asks for gzip.
// Threads: any. Failures: the constructor throws when the listener cannot be opened.
#pragma once

#include <memory>
#include <string>

#include "controlplane/store/store.h"
#include "metering/prometheus/exposition.h"

namespace cloister::api {

class Metrics {
 public:
  Metrics(const std::string& listen, store::Store& store, std::shared_ptr<metering::Exposition> exposition);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void served(int status, double seconds);

 private:
  struct Registered;
  std::unique_ptr<Registered> registered_;
};

// Ends the live series of tenants that the store has no more.
void forgetGoneTenants(store::Store& store, metering::Exposition& exposition);

// Whether an Accept-Encoding header asks for gzip: named, and not with a weight of 0.
[[nodiscard]] bool asksForGzip(const std::string& acceptEncoding);

}  // namespace cloister::api
