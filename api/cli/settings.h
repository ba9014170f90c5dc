// Where the server is, who we are, and for which tenant we act.
//
// Each value comes from the first place that has it: the command line, the environment (CLOISTER_SERVER,
// CLOISTER_TOKEN, CLOISTER_TENANT), the user's file (~/.config/cloister/cli.toml), the machine's file
// (/etc/cloister/cli.toml). Files have the keys `server`, `token`, `tenant`. A token in a file belongs to the server of
// that file: when the user's file names another server, the machine's token is not sent there.
//
// Threads: values and functions of their arguments. Failures: SettingsError naming the file and the key; a file that
// does not exist or that this user may not open is skipped.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace cloister::cli {

struct Settings {
  std::string server = "http://127.0.0.1:7070";
  std::string token;
  std::string tenant;
};

struct SettingsError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What one place says; absent keys are empty optionals.
struct PartialSettings {
  std::optional<std::string> server;
  std::optional<std::string> token;
  std::optional<std::string> tenant;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

[[nodiscard]] Environment processEnvironment();

// The user's file, then the machine's. Honours XDG_CONFIG_HOME.
[[nodiscard]] std::vector<std::filesystem::path> settingsFiles(const Environment& environment);

[[nodiscard]] Settings loadSettings(const PartialSettings& commandLine, const Environment& environment,
                                    const std::vector<std::filesystem::path>& files);

}  // namespace cloister::cli
