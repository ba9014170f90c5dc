#include "api/cli/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

void setString(const toml::table& table, std::string_view key, const fs::path& file,
               std::optional<std::string>& target) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return;
  const auto text = node->value_exact<std::string>();
  if (!text) throw SettingsError(fmt::format("{}: {} must be a string", file.string(), key));
  if (!text->empty()) target = *text;
}

// A token that others can read is no secret any more; say so before it is used.
void refuseSharedToken(const fs::path& file) {
  const fs::perms shared = fs::perms::group_all | fs::perms::others_all;
  const fs::perms mode = fs::status(file).permissions();
  if ((mode & shared) == fs::perms::none) return;
  throw SettingsError(fmt::format("{}: mode {:04o} lets others read the token; run: chmod 600 {}", file.string(),
                                  static_cast<unsigned>(mode), file.string()));
}

PartialSettings readFile(const fs::path& file) {
  PartialSettings settings;
  std::ifstream in(file);
  if (!in) return settings;
  std::stringstream text;
  text << in.rdbuf();
  toml::table table;
  try {
    table = toml::parse(text.str());
  } catch (const toml::parse_error& error) {
    throw SettingsError(
        fmt::format("{}:{}: {}", file.string(), error.source().begin.line, std::string(error.description())));
  }
  setString(table, "server", file, settings.server);
  setString(table, "token", file, settings.token);
  setString(table, "tenant", file, settings.tenant);
  if (settings.token) refuseSharedToken(file);
  return settings;
}

}  // namespace

Environment processEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing here calls setenv
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

std::vector<fs::path> settingsFiles(const Environment& environment) {
  std::vector<fs::path> files;
  if (const auto config = environment("XDG_CONFIG_HOME")) {
    files.push_back(fs::path(*config) / "cloister/cli.toml");
  } else if (const auto home = environment("HOME")) {
    files.push_back(fs::path(*home) / ".config/cloister/cli.toml");
  }
  files.emplace_back("/etc/cloister/cli.toml");
  return files;
}

Settings loadSettings(const PartialSettings& commandLine, const Environment& environment,
                      const std::vector<fs::path>& files) {
  PartialSettings merged;
  for (const fs::path& file : files) {
    const PartialSettings next = readFile(file);
    const bool sameServer = !merged.server || !next.server || *merged.server == *next.server;
    if (!merged.token && sameServer) merged.token = next.token;
    if (!merged.tenant && sameServer) merged.tenant = next.tenant;
    if (!merged.server) merged.server = next.server;
  }
  const auto choose = [&](const std::optional<std::string>& flag, const char* variable,
                          const std::optional<std::string>& file, std::string& target) {
    if (flag) {
      target = *flag;
    } else if (const auto value = environment(variable)) {
      target = *value;
    } else if (file) {
      target = *file;
    }
  };
  Settings settings;
  choose(commandLine.server, "CLOISTER_SERVER", merged.server, settings.server);
  choose(commandLine.token, "CLOISTER_TOKEN", merged.token, settings.token);
  choose(commandLine.tenant, "CLOISTER_TENANT", merged.tenant, settings.tenant);
  while (!settings.server.empty() && settings.server.back() == '/') settings.server.pop_back();
  return settings;
}

}  // namespace cloister::cli
