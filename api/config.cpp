#include "api/config.h"

#include <Poco/Environment.h>
#include <Poco/URI.h>
#include <toml++/toml.h>

#include <functional>
#include <limits>
#include <map>
#include <stdexcept>

namespace cloister::api {
namespace {

using Setter = std::function<void(const toml::node&)>;

Setter text(std::string& out) {
  return [&out](const toml::node& node) {
    const auto value = node.value_exact<std::string>();
    if (!value || value->empty()) throw std::runtime_error("must be a string");
    out = *value;
  };
}

Setter location(std::string& out) {
  return [&out](const toml::node& node) {
    text(out)(node);
    if (!out.starts_with("/") && !out.starts_with("postgresql://") && !out.starts_with("postgres://")) {
      throw std::runtime_error("must be an absolute path or begin with postgresql://");
    }
  };
}

template <typename T>
Setter number(T& out, std::int64_t least = 1) {
  return [&out, least](const toml::node& node) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < least || *value > std::numeric_limits<int>::max() * std::int64_t{4096}) {
      throw std::runtime_error(least == 0 ? "must be zero or a positive integer" : "must be a positive integer");
    }
    if (!std::in_range<T>(*value)) throw std::runtime_error("is too large");
    out = static_cast<T>(*value);
  };
}

}  // namespace

Config loadConfig(const std::string& path) {
  Config config;
  config.state = Poco::Environment::get("CLOISTER_STATE", config.state);
  config.run = Poco::Environment::get("CLOISTER_RUN", config.run);
  if (path.empty()) return config;
  const std::map<std::string, Setter> keys = {
      {"state", text(config.state)},
      {"run", text(config.run)},
      {"listen", text(config.listen)},
      {"metrics_listen", text(config.metricsListen)},
      {"apps_domain", text(config.appsDomain)},
      {"edge_url", text(config.edgeUrl)},
      {"edge_socket", text(config.edgeSocket)},
      {"edge_maps", text(config.edgeMaps)},
      {"edge_connections", number(config.edgeConnections)},
      {"provider", text(config.provider)},
      {"region", text(config.region)},
      {"layer_store", text(config.layerStore)},
      {"ledger", location(config.ledgerLocation)},
      {"log_level", text(config.logLevel)},
      {"max_source_bytes", number(config.maxSourceBytes)},
      {"max_slug_bytes", number(config.maxSlugBytes)},
      {"max_build_log_bytes", number(config.maxBuildLogBytes)},
      {"max_threads", number(config.maxThreads)},
      {"max_connections", number(config.maxConnections)},
      {"max_connections_per_source", number(config.maxConnectionsPerSource)},
      {"requests_per_second", number(config.requestsPerSecond)},
      {"requests_burst", number(config.requestsBurst)},
      {"max_node_cores", number(config.maxNodeCores)},
      {"session_join_seconds", number(config.sessionJoinSeconds)},
      {"settle_seconds", number(config.settleSeconds, 0)},
  };
  try {
    const auto table = toml::parse_file(path);
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      const auto setter = keys.find(name);
      if (setter == keys.end()) throw std::runtime_error(path + ": " + name + " is not known");
      try {
        setter->second(node);
      } catch (const std::exception& error) {
        throw std::runtime_error(path + ": " + name + " " + error.what());
      }
    }
  } catch (const toml::parse_error& error) {
    throw std::runtime_error(path + ", line " + std::to_string(error.source().begin.line) + ": " +
                             std::string(error.description()));
  }
  return config;
}

std::string urlOf(const std::string& host, const std::string& edgeUrl) {
  const Poco::URI edge(edgeUrl);
  const bool usual =
      (edge.getScheme() == "http" && edge.getPort() == 80) || (edge.getScheme() == "https" && edge.getPort() == 443);
  return edge.getScheme() + "://" + host + (usual ? "" : ":" + std::to_string(edge.getPort()));
}

}  // namespace cloister::api
