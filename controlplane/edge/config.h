// The HAProxy configuration, complete, from a few values. It never changes while tenants come and go: requests are
// routed by two map files that EdgeMap keeps.
//
//   hosts.map   "<host> <number of slots>"            absent: 404, 0: 503
//   slots.map   "<host>#<slot from 0> <ip>:<port>"    a request draws a slot at random
//
// Threads and failures: pure function.
#pragma once

#include <cstdint>
#include <string>

namespace cloister::edge {

struct ConfigOptions {
  std::string mapDirectory;             // $STATE/edge
  std::string bind = "*:8080";          // one listener, plain HTTP
  std::string runtimeSocket;            // $RUN/haproxy.sock
  std::string socketUser = "cloister";  // who may use the runtime API; empty: whoever starts HAProxy
  std::string socketGroup = "haproxy";
  std::string user = "haproxy";  // whom HAProxy becomes; empty: stays
  std::string group = "haproxy";
  std::string statsBind;                         // "127.0.0.1:8404": Prometheus' exporter; empty: none
  std::string instanceNetwork = "10.128.0.0/9";  // where destinations must lie
  unsigned maxConnections = 4096;
};

[[nodiscard]] std::string haproxyConfig(const ConfigOptions& options);

}  // namespace cloister::edge
