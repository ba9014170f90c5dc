#include "api/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace cloister::api {
namespace {

struct ConfigFile : testing::Test {
  Config load(const std::string& toml) const {
    std::ofstream(path) << toml;
    return loadConfig(path);
  }
  std::string refusal(const std::string& toml) const {
    try {
      static_cast<void>(load(toml));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  ~ConfigFile() override { std::filesystem::remove(path); }
  const std::string path =
      (std::filesystem::temp_directory_path() / ("cloister-config-" + std::to_string(::getpid()) + ".toml")).string();
};

TEST_F(ConfigFile, TheLedgerIsAFileOfTheStateUnlessOneIsNamed) {
  EXPECT_EQ(load("state = \"/s\"\n").ledger(), "/s/cloisterd/ledger.db");
  for (const char* named :
       {"/srv/ledger.db", "postgresql:///cloister?host=/run/postgresql", "postgres://db/cloister"}) {
    EXPECT_EQ(load("ledger = \"" + std::string(named) + "\"\n").ledger(), named);
  }
}

TEST_F(ConfigFile, ALedgerThatIsNoPlaceIsRefusedByName) {
  for (const char* bad : {"\"\"", "\"ledger.db\"", "\"mysql://db/cloister\"", "\"postgresql:cloister\"", "7", "true"}) {
    const auto reason = refusal("ledger = " + std::string(bad) + "\n");
    EXPECT_NE(reason.find(path + ": ledger must be"), std::string::npos) << bad << ": " << reason;
  }
}

TEST_F(ConfigFile, ASettleTimeMayBeNothingAtAll) {
  EXPECT_EQ(load("").settleSeconds, 10);
  EXPECT_EQ(load("settle_seconds = 0\n").settleSeconds, 0);
  for (const char* bad : {"-1", "\"10s\"", "1.5"}) {
    const auto reason = refusal("settle_seconds = " + std::string(bad) + "\n");
    EXPECT_NE(reason.find("settle_seconds must be zero or"), std::string::npos) << bad << ": " << reason;
  }
}

}  // namespace
}  // namespace cloister::api
