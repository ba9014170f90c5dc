#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "controlplane/node/instance_directory.h"
#include "controlplane/node/log_pump.h"
#include "controlplane/node/log_session.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

class Logs : public testing::Test {
 protected:
  Logs() {
    std::string pattern = testing::TempDir() + "cloister-logs-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    store_ = std::make_shared<LogStore>(root_ + "/log", LogStore::Origin{"shop", "web", "in-1"});
  }
  ~Logs() override { fs::remove_all(root_); }

  // Lines of a stream that the store holds.
  [[nodiscard]] std::vector<std::string> lines(const std::string& stream) const {
    LogReader reader(root_ + "/log");
    std::vector<std::string> found;
    for (const auto& json : recentLines(reader, 0, -1)) {
      const auto line = model::logLineFromJson(json);
      if (line.stream == stream) found.push_back(line.line);
    }
    return found;
  }
  // Waits until the stream has that many lines; bounded.
  [[nodiscard]] std::vector<std::string> awaitLines(const std::string& stream, std::size_t count) const {
    for (int i = 0; i < 500 && lines(stream).size() < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return lines(stream);
  }
  struct Ends {
    UniqueFd app;  // what a container's stdout is
    UniqueFd node;
  };
  [[nodiscard]] Ends fifo(const std::string& name) const {
    const std::string path = root_ + "/" + name;
    EXPECT_TRUE(streams::makeFifo(path, 0666).ok());
    auto app = streams::openFifo(path, streams::Blocking::yes);
    auto node = streams::openFifo(path, streams::Blocking::no);
    return {std::move(app).value(), std::move(node).value()};
  }

  std::string root_;
  std::shared_ptr<LogStore> store_;
};

TEST(SplitLines, TakesWholeLinesAndLeavesTheRest) {
  struct Case {
    std::string text;
    Unfinished unfinished;
    std::vector<std::string> lines;
    std::size_t taken;
  };
  const std::string longLine(kLongestLine + 10, 'x');
  const std::string goesOn(kGoesOn);
  const std::vector<Case> cases{
      {"", Unfinished::leave, {}, 0},
      {"a\nb\nc", Unfinished::leave, {"a", "b"}, 4},
      {"a\nb\nc", Unfinished::flush, {"a", "b", "c"}, 5},
      {"\n\n", Unfinished::leave, {"", ""}, 2},
      {"a\r\n", Unfinished::leave, {"a"}, 3},
      {"\xff\xc0\x80z\n", Unfinished::leave, {"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"}, 5},
      {std::string("a\0b\x07\n", 5),
       Unfinished::leave,
       {"a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD"},
       5},
      {"\xED\xA0\x80\n", Unfinished::leave, {"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, 4},
      {"gr\xC3\xBC\xC3\x9F\t\x1b[1m\n", Unfinished::leave, {"gr\xC3\xBC\xC3\x9F\t\x1b[1m"}, 12},
      {"a\r\r\n", Unfinished::leave, {"a"}, 4},
      {longLine, Unfinished::leave, {std::string(kLongestLine, 'x') + goesOn}, kLongestLine},
      {longLine + "\n",
       Unfinished::leave,
       {std::string(kLongestLine, 'x') + goesOn, std::string(10, 'x')},
       kLongestLine + 11},
      {std::string(kLongestLine, 'x') + "\n", Unfinished::leave, {std::string(kLongestLine, 'x')}, kLongestLine + 1},
      {std::string(kLongestLine - 1, 'x') + "\xE2\x82\xAC\n",
       Unfinished::leave,
       {std::string(kLongestLine - 1, 'x') + goesOn, "\xE2\x82\xAC"},
       kLongestLine + 3},
  };
  for (const auto& example : cases) {
    const Split split = splitLines(example.text, example.unfinished);
    EXPECT_EQ(split.lines, example.lines) << example.text.substr(0, 20);
    EXPECT_EQ(split.taken, example.taken) << example.text.substr(0, 20);
  }
}

TEST(Allowance, RefusesBeyondTheBurstAndRefillsWithTime) {
  const auto start = Allowance::Clock::now();
  Allowance allowance(1000, start);
  EXPECT_TRUE(allowance.take(2000, start));
  EXPECT_FALSE(allowance.take(1, start));
  EXPECT_FALSE(allowance.take(501, start + std::chrono::milliseconds(500)));
  EXPECT_TRUE(allowance.take(500, start + std::chrono::milliseconds(500)));
  EXPECT_FALSE(allowance.take(2001, start + std::chrono::hours(1))) << "no more than the burst is saved up";
  EXPECT_TRUE(allowance.take(2000, start + std::chrono::hours(1)));
}

TEST_F(Logs, RotatesBySizeAndKeepsFourFiles) {
  LogStore small(root_ + "/log", {"shop", "web", "in-1"}, 2000);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(small.append("stdout", {"line " + std::to_string(i)}).ok());
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(root_ + "/log")) {
    EXPECT_LE(entry.file_size(), 2000U);
    ++files;
  }
  EXPECT_EQ(files, static_cast<std::size_t>(kLogFiles));
  const auto kept = lines("stdout");
  ASSERT_GT(kept.size(), 20U);
  EXPECT_EQ(kept.back(), "line 199");
  for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i], "line " + std::to_string(200 - kept.size() + i));
}

TEST_F(Logs, AFollowerLosesNothingOverRotation) {
  LogStore small(root_ + "/log", {"shop", "web", "in-1"}, 3000);
  LogReader reader(root_ + "/log");
  std::vector<std::string> seen;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(small.append("stdout", {std::to_string(i)}).ok());
    if (i % 20 != 19) continue;
    for (const auto& json : reader.next()) seen.push_back(model::logLineFromJson(json).line);
  }
  ASSERT_EQ(seen.size(), 300U);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], std::to_string(i));
}

TEST_F(Logs, TailGivesTheLastLines) {
  ASSERT_TRUE(store_->append("stdout", {"a", "b", "c", "d"}).ok());
  LogReader reader(root_ + "/log");
  const auto tail = recentLines(reader, 0, 2);
  ASSERT_EQ(tail.size(), 2U);
  EXPECT_EQ(model::logLineFromJson(tail[0]).line, "c");
  LogReader later(root_ + "/log");
  EXPECT_TRUE(recentLines(later, model::logLineFromJson(tail[1]).at + 1, -1).empty());
}

TEST_F(Logs, PumpCarriesBothStreamsAndUnfinishedLinesOnDrain) {
  auto out = fifo("out");
  auto err = fifo("err");
  auto pump = LogPump::start();
  ASSERT_TRUE(pump.ok());
  ASSERT_TRUE(files::writeAll(out.app.get(), "before\n").ok());
  ASSERT_TRUE((*pump)->add("in-1", std::move(out.node), std::move(err.node), store_).ok());
  ASSERT_TRUE(files::writeAll(out.app.get(), "one\ntwo\nthr").ok());
  ASSERT_TRUE(files::writeAll(err.app.get(), "bad\n").ok());
  EXPECT_EQ(awaitLines("stdout", 3), (std::vector<std::string>{"before", "one", "two"}));
  EXPECT_EQ(awaitLines("stderr", 1), (std::vector<std::string>{"bad"}));
  ASSERT_TRUE(files::writeAll(out.app.get(), "ee\nend").ok());
  (*pump)->drain("in-1");
  EXPECT_EQ(lines("stdout"), (std::vector<std::string>{"before", "one", "two", "three", "end"}));
}

TEST_F(Logs, ALineWithoutEndIsShownAfterAWhile) {
  auto out = fifo("out");
  auto err = fifo("err");
  auto pump = LogPump::start();
  ASSERT_TRUE(pump.ok());
  ASSERT_TRUE((*pump)->add("in-1", std::move(out.node), std::move(err.node), store_).ok());
  ASSERT_TRUE(files::writeAll(out.app.get(), "password: ").ok());
  EXPECT_EQ(awaitLines("stdout", 1), (std::vector<std::string>{"password: "}));
}

// A node killed between writing the file and taking from the FIFO: the next one writes the chunk again, and loses
// nothing.
TEST_F(Logs, PeekedBytesStayInTheFifoForTheNextNode) {
  auto out = fifo("out");
  auto err = fifo("err");
  ASSERT_TRUE(files::writeAll(out.app.get(), "kept\n").ok());
  {
    auto scratch = streams::makePipe(streams::Blocking::no);
    ASSERT_TRUE(scratch.ok());
    std::array<char, 64> buffer{};
    auto held = streams::peek(out.node.get(), *scratch, buffer.data(), buffer.size());
    ASSERT_TRUE(held.ok());
    ASSERT_EQ(std::string(buffer.data(), *held), "kept\n");
    ASSERT_TRUE(store_->append("stdout", {"kept"}).ok());
  }
  out.node.reset();  // the kill
  auto again = streams::openFifo(root_ + "/out", streams::Blocking::no);
  ASSERT_TRUE(again.ok());
  auto pump = LogPump::start();
  ASSERT_TRUE(pump.ok());
  ASSERT_TRUE((*pump)->add("in-1", std::move(again).value(), std::move(err.node), store_).ok());
  ASSERT_TRUE(files::writeAll(out.app.get(), "next\n").ok());
  EXPECT_EQ(awaitLines("stdout", 3), (std::vector<std::string>{"kept", "kept", "next"}));
}

TEST_F(Logs, AFloodIsCutAndItsNeighbourIsNot) {
  auto out = fifo("out");
  auto err = fifo("err");
  auto calm = fifo("calm");
  auto calmErr = fifo("calmErr");
  auto neighbour = std::make_shared<LogStore>(root_ + "/neighbour", LogStore::Origin{"calm", "web", "in-2"});
  auto pump = LogPump::start();
  ASSERT_TRUE(pump.ok());
  ASSERT_TRUE((*pump)->add("in-1", std::move(out.node), std::move(err.node), store_).ok());
  ASSERT_TRUE((*pump)->add("in-2", std::move(calm.node), std::move(calmErr.node), neighbour).ok());
  std::string block;
  while (block.size() < 32768) block += "0123456789012345678901234567890123456789012345678901234567890123456789\n";
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t sent = 0; sent < (8UL << 20U); sent += block.size()) {
    ASSERT_TRUE(files::writeAll(out.app.get(), block).ok());
  }
  ASSERT_TRUE(files::writeAll(calm.app.get(), "hello\n").ok());
  for (int i = 0; i < 100 && !fs::exists(root_ + "/neighbour/current"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(fs::exists(root_ + "/neighbour/current"));
  (*pump)->drain("in-1");
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto kept = lines("stdout").size() * 71;
  EXPECT_LE(static_cast<double>(kept), (seconds + 2) * static_cast<double>(LogPump::kBytesPerSecond) * 1.1);
  const auto said = lines("system");
  if (kept < (8UL << 20U)) {
    ASSERT_FALSE(said.empty());
    EXPECT_NE(said.back().find("lines dropped"), std::string::npos);
  }
}

// What a log session for process types of tn-1's ap-1 has to say; "" for all of them.
std::vector<std::string> recentOf(const std::string& instances, const std::string& process) {
  model::Session session;
  session.tenantId = "tn-1";
  session.appId = "ap-1";
  session.process = process;
  std::vector<std::string> seen;
  for (const auto& json : LogSession(instances, session).recent()) seen.push_back(model::logLineFromJson(json).line);
  return seen;
}

InstanceDirectory instanceOf(const std::string& instances, const std::string& id, const std::string& tenant,
                             const std::string& app, const std::string& process) {
  InstanceSpec spec;
  spec.tenant.id = tenant;
  spec.instance.id = id;
  spec.instance.tenantId = tenant;
  spec.instance.appId = app;
  spec.instance.process = process;
  InstanceDirectory directory(instances, id);
  EXPECT_TRUE(directory.prepare(spec).ok());
  return directory;
}

TEST_F(Logs, SessionMergesInstancesOfOneAppAndOfNoOther) {
  const auto add = [&](const std::string& id, const std::string& tenant, const std::string& app,
                       const std::string& process, const std::string& line) {
    LogStore store(instanceOf(root_, id, tenant, app, process).logs(), {app, process, id});
    ASSERT_TRUE(store.append("stdout", {line}).ok());
  };
  add("in-1", "tn-1", "ap-1", "web", "first");
  add("in-2", "tn-1", "ap-1", "worker", "second");
  add("in-3", "tn-1", "ap-2", "web", "another app");
  add("in-4", "tn-2", "ap-1", "web", "another tenant that claims the app");
  add("in-5", "tn-1", "ap-1", "web", "third");
  EXPECT_EQ(recentOf(root_, ""), (std::vector<std::string>{"first", "second", "third"}));
  EXPECT_EQ(recentOf(root_, "worker"), (std::vector<std::string>{"second"}));
}

TEST_F(Logs, SessionKeepsAnInstancesOrderWhenTheClockWasSetBack) {
  const auto write = [&](const std::string& id, const std::vector<model::Micros>& times) {
    const auto directory = instanceOf(root_, id, "tn-1", "ap-1", "web");
    std::string text;
    int count = 0;
    for (const auto at : times) {
      text += model::toJson(model::LogLine{at, "shop", "web", id, "stdout", id + " " + std::to_string(++count)}) + "\n";
    }
    ASSERT_TRUE(files::replace(directory.logs() + "/current", text, 0600).ok());
  };
  write("in-1", {1'000, 5'000, 3'000, 7'000});
  write("in-2", {2'000, 4'000, 6'000});
  EXPECT_EQ(recentOf(root_, ""),
            (std::vector<std::string>{"in-1 1", "in-2 1", "in-2 2", "in-1 2", "in-1 3", "in-2 3", "in-1 4"}));
}

}  // namespace
}  // namespace cloister::node
