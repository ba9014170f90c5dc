// The HAProxy configuration, complete, from a few values. It never changes while tenants come and go: requests are
// routed by two map files that EdgeMap keeps. HAProxy is started as the user that it stays, and needs no right but to
// bind: the text names no user, group or chroot. Its runtime API is at level "operator", which suffices for maps:
// neither memory nor servers nor sessions can be had through it.
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
  std::string mapDirectory;                      // $STATE/edge
  std::string bind = "*:8080";                   // one listener, plain HTTP
  std::string runtimeSocket;                     // $RUN/edge/haproxy.sock
  std::string statsBind;                         // "127.0.0.1:8404": Prometheus' exporter; empty: none
  std::string instanceNetwork = "10.128.0.0/9";  // where destinations must lie
  unsigned maxConnections = 4096;
};

[[nodiscard]] std::string haproxyConfig(const ConfigOptions& options);

}  // namespace cloister::edge
