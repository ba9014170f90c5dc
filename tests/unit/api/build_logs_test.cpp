#include "api/build_logs.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace cloister::api {
namespace {

struct BuildLogsTest : ::testing::Test {
  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("cloister-logs-" + std::to_string(getpid()));
  ~BuildLogsTest() override { std::filesystem::remove_all(directory); }
};

TEST_F(BuildLogsTest, GrowByChunksAndAreReadFromAnOffset) {
  BuildLogs logs(directory.string(), 1000);
  EXPECT_EQ(logs.read("bd-1", 0), "");
  logs.append("bd-1", "$ make\n");
  logs.append("bd-1", "done\n");
  EXPECT_EQ(logs.read("bd-1", 0), "$ make\ndone\n");
  EXPECT_EQ(logs.read("bd-1", 7), "done\n");
  EXPECT_EQ(logs.read("bd-1", 0, 3), "$ m");
  EXPECT_EQ(logs.read("bd-1", 12), "");
}

TEST_F(BuildLogsTest, AreCutOnceAndSaySo) {
  BuildLogs logs(directory.string(), 10);
  logs.append("bd-1", "12345678");
  logs.append("bd-1", "90abc");
  logs.append("bd-1", "more");
  const auto text = logs.read("bd-1", 0);
  EXPECT_EQ(text.substr(0, 10), "1234567890");
  EXPECT_NE(text.find("cut here"), std::string::npos);
  EXPECT_EQ(text.find("more"), std::string::npos);
}

TEST_F(BuildLogsTest, RefuseWhatIsNoId) {
  BuildLogs logs(directory.string(), 10);
  for (const char* id : {"", "..", "../x", "a/b", "-x", "A"}) {
    EXPECT_THROW(logs.append(id, "x"), std::runtime_error) << id;
    EXPECT_THROW((void)logs.read(id, 0), std::runtime_error) << id;
  }
}

}  // namespace
}  // namespace cloister::api
