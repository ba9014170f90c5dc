// Metrics: what cloisterd says about itself to Prometheus, on a listener of its own.
//
//   cloister_http_requests_total{code}   cloister_http_request_duration_seconds (histogram)
//   cloister_operations{state}           cloister_instances{state}
//
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

}  // namespace cloister::api
