#include "controlplane/node/config.h"

#include <Poco/Environment.h>

#include <toml++/toml.h>
#include <filesystem>
#include <stdexcept>

#include "metering/base/lifecycle.h"

namespace cloister::node {
namespace {

void take(const toml::table& table, const std::string& file, const char* key, std::string& into) {
  const auto value = table[key];
  if (!value) return;
  const auto text = value.value<std::string>();
  if (!text) throw std::runtime_error(file + ": " + key + " must be a string");
  into = *text;
}

void orDefault(std::string& value, const std::string& fallback) {
  if (value.empty()) value = fallback;
}

}  // namespace

Config loadConfig(const std::string& file, ConfigFile presence, const Config& flags) {
  Config config;
  if (presence == ConfigFile::required || std::filesystem::exists(file)) {
    try {
      const toml::table table = toml::parse_file(file);
      take(table, file, "state", config.state);
      take(table, file, "run", config.run);
      take(table, file, "name", config.name);
      take(table, file, "server", config.server);
      take(table, file, "token_file", config.tokenFile);
      take(table, file, "launcher_socket", config.launcherSocket);
      take(table, file, "layer_store", config.layerStore);
      take(table, file, "tls_authority", config.tlsAuthority);
      take(table, file, "tls_certificate", config.tlsCertificate);
      take(table, file, "tls_key", config.tlsKey);
    } catch (const toml::parse_error& error) {
      throw std::runtime_error(file + ": " + std::string(error.description()));
    }
  }
  for (auto member : {&Config::state, &Config::run, &Config::name, &Config::server, &Config::tokenFile,
                      &Config::launcherSocket, &Config::layerStore}) {
    if (!(flags.*member).empty()) config.*member = flags.*member;
  }
  orDefault(config.state, Poco::Environment::get("CLOISTER_STATE", "/var/lib/cloister"));
  orDefault(config.run, Poco::Environment::get("CLOISTER_RUN", "/run/cloister"));
  orDefault(config.name, Poco::Environment::nodeName());
  if (config.name == metering::kControlPlane)
    throw std::runtime_error("name: a node cannot be called \"" + config.name +
                             "\": the ledger knows the control plane by it");
  orDefault(config.server, "unix:" + config.run + "/cloisterd/node-api.sock");
  orDefault(config.tokenFile, config.directory() + "/token");
  orDefault(config.launcherSocket, config.run + "/launcher.sock");
  orDefault(config.layerStore, config.state + "/launcher/layers");
  return config;
}

}  // namespace cloister::node
