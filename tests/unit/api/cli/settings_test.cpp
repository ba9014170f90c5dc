#include "api/cli/settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "tests/unit/api/cli/temporary_directory.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

class SettingsTest : public ::testing::Test {
 protected:
  fs::path file(const std::string& name, const std::string& text, fs::perms mode = fs::perms(0600)) {
    const fs::path path = directory_.path() / name;
    std::ofstream(path) << text;
    fs::permissions(path, mode);
    return path;
  }
  test::TemporaryDirectory directory_;
};

TEST_F(SettingsTest, DefaultsToTheLocalServerWithoutToken) {
  const Settings settings = loadSettings({}, environment({}), {directory_.path() / "absent.toml"});
  EXPECT_EQ(settings.server, "http://127.0.0.1:7070");
  EXPECT_EQ(settings.token, "");
  EXPECT_EQ(settings.tenant, "");
}

TEST_F(SettingsTest, TheFirstPlaceThatHasAValueGivesIt) {
  const fs::path user = file("user.toml", "server = 'http://a:1'\ntoken = 'user-token'\n");
  const fs::path machine = file("machine.toml", "server = 'http://a:1'\ntoken = 'machine-token'\ntenant = 'acme'\n");
  const std::vector<fs::path> files{user, machine};

  Settings settings = loadSettings({}, environment({}), files);
  EXPECT_EQ(settings.token, "user-token");
  EXPECT_EQ(settings.tenant, "acme") << "a key that the user's file lacks comes from the machine's";

  settings =
      loadSettings({}, environment({{"CLOISTER_TOKEN", "env-token"}, {"CLOISTER_SERVER", "http://b:2/"}}), files);
  EXPECT_EQ(settings.token, "env-token");
  EXPECT_EQ(settings.server, "http://b:2") << "a last slash is dropped";

  settings = loadSettings({.server = {}, .token = "flag-token", .tenant = "other"},
                          environment({{"CLOISTER_TOKEN", "env-token"}, {"CLOISTER_TENANT", "env-tenant"}}), files);
  EXPECT_EQ(settings.token, "flag-token");
  EXPECT_EQ(settings.tenant, "other");
}

TEST_F(SettingsTest, DoesNotSendTheMachinesTokenToAnotherServer) {
  const fs::path user = file("user.toml", "server = 'https://elsewhere.example'\n");
  const fs::path machine = file("machine.toml", "server = 'http://127.0.0.1:7070'\ntoken = 'admin'\ntenant = 'acme'\n");
  const Settings settings = loadSettings({}, environment({}), {user, machine});
  EXPECT_EQ(settings.server, "https://elsewhere.example");
  EXPECT_EQ(settings.token, "");
  EXPECT_EQ(settings.tenant, "");
}

TEST_F(SettingsTest, RefusesBadFilesNamingTheFileAndTheKey) {
  struct Case {
    const char* name;
    const char* text;
    unsigned mode;
    const char* complaint;
  };
  for (const Case& c :
       {Case{"open.toml", "token = 'x'", 0644, "chmod 600"}, Case{"group.toml", "token = 'x'", 0640, "0640"},
        Case{"number.toml", "tenant = 7", 0600, "tenant must be a string"},
        Case{"broken.toml", "server = ", 0600, "broken.toml:1"}}) {
    const fs::path path = file(c.name, c.text, static_cast<fs::perms>(c.mode));
    try {
      static_cast<void>(loadSettings({}, environment({}), {path}));
      ADD_FAILURE() << c.name << " was accepted";
    } catch (const SettingsError& error) {
      EXPECT_NE(std::string(error.what()).find(c.complaint), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(c.name), std::string::npos) << error.what();
    }
  }
}

TEST_F(SettingsTest, AFileWithoutATokenMayBeReadByAll) {
  const fs::path path = file("cli.toml", "tenant = 'acme'", fs::perms(0644));
  EXPECT_EQ(loadSettings({}, environment({}), {path}).tenant, "acme");
}

TEST_F(SettingsTest, LooksInTheUsersDirectoryThenInEtc) {
  EXPECT_EQ(settingsFiles(environment({{"HOME", "/home/ada"}})),
            (std::vector<fs::path>{"/home/ada/.config/cloister/cli.toml", "/etc/cloister/cli.toml"}));
  EXPECT_EQ(settingsFiles(environment({{"HOME", "/home/ada"}, {"XDG_CONFIG_HOME", "/x"}})).front(),
            "/x/cloister/cli.toml");
  EXPECT_EQ(settingsFiles(environment({})), (std::vector<fs::path>{"/etc/cloister/cli.toml"}));
}

}  // namespace
}  // namespace cloister::cli
