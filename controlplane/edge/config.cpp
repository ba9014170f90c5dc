#include "controlplane/edge/config.h"

#include <string_view>

namespace cloister::edge {
namespace {

// Replaces every "@name@" of a text.
std::string filled(std::string text, std::string_view name, const std::string& value) {
  const std::string mark = "@" + std::string(name) + "@";
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

constexpr const char* kConfiguration =
    R"haproxy(# Written by Cloister. Routes are not in here: they are in the map files, changed through the runtime API.
global
    log stdout format raw local0 notice
    maxconn @connections@
    stats socket @socket@ level operator mode 660
    stats timeout 30s
    hard-stop-after 60s

defaults
    mode http
    log global
    option httplog
    option log-separate-errors
    option dontlognull
    option http-keep-alive
    timeout http-request 10s
    timeout http-keep-alive 30s
    timeout connect 3s
    timeout queue 5s
    timeout client 60s
    timeout client-fin 10s
    timeout server 60s
    timeout tunnel 1h
    http-error status 502 content-type text/plain string "502: the app closed the connection without an answer\n"
    http-error status 503 content-type text/plain string "503: no instance of this app can take the request now\n"
    http-error status 504 content-type text/plain string "504: the app did not answer in time\n"

@stats@frontend apps
    bind @bind@
    # A host name counts without its case, port and trailing dot.
    http-request set-var(txn.host) req.hdr(host),field(1,:),lower,regsub(\.$,,)
    http-request set-var(txn.slots) var(txn.host),map_str_int(@maps@/hosts.map)
    http-request return status 404 content-type text/plain string "404: there is no app of this name\n" unless { var(txn.slots) -m found }
    http-request return status 503 content-type text/plain string "503: this app has no running instance\n" hdr Retry-After 5 if { var(txn.slots) -m int 0 }
    http-request set-var(txn.slot) rand,mod(txn.slots)
    http-request set-var-fmt(txn.key) "%[var(txn.host)]#%[var(txn.slot)]"
    http-request set-var(txn.to) var(txn.key),map_str(@maps@/slots.map)
    # Between the two look-ups the number of slots may have shrunk: the first slot is the last to go.
    http-request set-var-fmt(txn.first) "%[var(txn.host)]#0"
    http-request set-var(txn.to) var(txn.first),map_str(@maps@/slots.map) unless { var(txn.to) -m found }
    # Whatever a map says: nothing outside the instances' network is ever connected to.
    http-request return status 503 content-type text/plain string "503: this app has no running instance\n" unless { var(txn.to),field(1,:) -m ip @network@ }
    http-request set-dst var(txn.to),field(1,:)
    http-request set-dst-port var(txn.to),field(2,:)
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    # A request that may be repeated is tried again when an idle connection turns out to be dead.
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
    default_backend instances

backend instances
    retries 3
    retry-on conn-failure empty-response
    http-reuse safe
    # The destination is the one that the request was given above; connections are shared only between equal destinations.
    server instance 0.0.0.0:0 pool-purge-delay 2s
)haproxy";

}  // namespace

std::string haproxyConfig(const ConfigOptions& options) {
  std::string stats;
  if (!options.statsBind.empty()) {
    stats = "frontend metrics\n    bind " + options.statsBind +
            "\n    http-request use-service prometheus-exporter if { path /metrics }\n"
            "    http-request return status 404\n\n";
  }
  std::string text = kConfiguration;
  text = filled(std::move(text), "connections", std::to_string(options.maxConnections));
  text = filled(std::move(text), "socket", options.runtimeSocket);
  text = filled(std::move(text), "stats", stats);
  text = filled(std::move(text), "bind", options.bind);
  text = filled(std::move(text), "maps", options.mapDirectory);
  return filled(std::move(text), "network", options.instanceNetwork);
}

}  // namespace cloister::edge
