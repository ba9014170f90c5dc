// cloister-node with the real launcher: life cycle, restarts of every part, builds, sessions, usage.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "tests/integration/node/harness.h"

namespace cloister::test {
namespace {

using model::BuildState;
using model::InstanceState;
using model::SessionKind;

void pause(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST_F(NodeTest, RunsAnAppUntilItIsStopped) {
  auto wanted = work();
  auto app = instance("in-web", "mkdir -p /app/www; echo fine > /app/www/health; httpd -f -p $PORT -h /app/www", 10);
  app.port = 8080;
  app.healthPath = "/health";
  wanted.instances.push_back(app);
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-web-1"}));
  wanted.instances[0].desired = model::DesiredState::stop;
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::stopped, 30).has_value());
  EXPECT_TRUE(containers().empty());
  const auto states = server_->history("in-web");
  EXPECT_EQ(std::count(states.begin(), states.end(), InstanceState::crashed), 0);
}

TEST_F(NodeTest, TellsWhyAnAppEndsAndRestartsIt) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-exit", "echo about to leave; exit 3", 10));
  auto greedy = instance("in-oom", "sleep 1; dd if=/dev/zero of=/dev/null bs=200M count=1", 11);
  greedy.limits.memoryBytes = 16UL << 20U;
  wanted.instances.push_back(greedy);
  server_->want(wanted);
  const auto exited = server_->awaitInstance("in-exit", InstanceState::crashed, 30);
  ASSERT_TRUE(exited.has_value());
  EXPECT_EQ(exited->reason, "ended with exit code 3");
  const auto killed = server_->awaitInstance("in-oom", InstanceState::crashed, 30);
  ASSERT_TRUE(killed.has_value());
  EXPECT_EQ(killed->reason, "ran out of memory and was killed");
  const auto again = server_->awaitStatus(
      [](const model::NodeStatus& status) {
        return std::any_of(status.instances.begin(), status.instances.end(),
                           [](const auto& report) { return report.id == "in-exit" && report.restarts >= 2; });
      },
      20);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->signingKey.size(), 64U) << "the public half of what it seals its readings with";
  const auto lines = logLines("in-exit", "stdout");
  EXPECT_GE(lines.size(), 2U);
  const auto events = server_->events();
  EXPECT_TRUE(
      std::any_of(events.begin(), events.end(), [](const auto& event) { return event.kind == "instance.oom"; }));
}

TEST_F(NodeTest, KilledNodeLosesNoLineAndAdoptsWhatRuns) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-talk", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.01; done", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-talk", InstanceState::running, 30).has_value());
  for (int round = 0; round < 3; ++round) {
    pause(400);
    endProcess(node_, SIGKILL);
    pause(300);
    startNode();
  }
  ASSERT_TRUE(server_->awaitInstance("in-talk", InstanceState::running, 30).has_value());
  pause(1000);
  for (int i = 0; i < 100 && logLines("in-talk", "stdout").size() < 150; ++i) pause(100);
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-talk-1"})) << "the same container all along";
  const auto states = server_->history("in-talk");
  EXPECT_EQ(states.back(), InstanceState::running);
  EXPECT_EQ(std::count(states.begin(), states.end(), InstanceState::crashed), 0);
  int last = 0;
  int repeated = 0;
  for (const auto& line : logLines("in-talk", "stdout")) {
    const int number = std::stoi(line.substr(5));
    if (number <= last) {
      ++repeated;
    } else {
      ASSERT_EQ(number, last + 1) << "lost";
      last = number;
    }
  }
  EXPECT_GT(last, 100);
  EXPECT_LT(repeated, 300) << "one chunk a kill at most";
}

TEST_F(NodeTest, OnlyCertifiedWorkStopsAnything) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-keep", "sleep 1000", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-keep", InstanceState::running, 30).has_value());
  model::NodeWork restoredEmpty;
  server_->want(restoredEmpty);
  ASSERT_TRUE(server_->awaitStatus([](const auto& status) { return status.observedRevision == 2; }, 10).has_value());
  endProcess(node_, SIGKILL);
  startNode();
  pause(3000);
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-keep-1"}));
  restoredEmpty.certified = true;
  server_->want(restoredEmpty);
  ASSERT_TRUE(server_->awaitInstance("in-keep", InstanceState::stopped, 30).has_value());
  EXPECT_TRUE(containers().empty());
}

TEST_F(NodeTest, LauncherThatWasKilledIsToldAllAgain) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-one", "sleep 1000", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-one", InstanceState::running, 30).has_value());
  endProcess(launcher_, SIGKILL);
  startLauncher();
  wanted.instances.push_back(instance("in-two", "sleep 1000", 11));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-two", InstanceState::running, 30).has_value());
  const auto states = server_->history("in-one");
  EXPECT_EQ(states.back(), InstanceState::running);
}

TEST_F(NodeTest, BuildsASlugAndRunsIt) {
  auto wanted = work();
  wanted.builds.push_back(build("bd-good",
                                {"id -u", "cat file.txt > made.txt", "echo it\\'s done >> made.txt",
                                 "echo named > /dev/stdout; echo twice >> /dev/stderr"},
                                20));
  server_->want(wanted);
  const auto report = server_->awaitBuild("bd-good", 60);
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->state, BuildState::succeeded) << report->failure.detail << "\n" << server_->buildLog("bd-good");
  ASSERT_TRUE(server_->blob(report->slugDigest).has_value());
  const std::string log = server_->buildLog("bd-good");
  EXPECT_NE(log.find("$ id -u\n0\n$ cat file.txt > made.txt\n"), std::string::npos) << log;
  EXPECT_NE(log.find("\nnamed\ntwice\n"), std::string::npos) << log;
  EXPECT_TRUE(containers().empty());
  // One copy on the host: root's, which the node may read.
  EXPECT_TRUE(std::filesystem::is_empty(path("state/node/layers")));
  struct stat kept {};
  ASSERT_EQ(::stat(path("store/" + report->slugDigest).c_str(), &kept), 0);
  EXPECT_EQ(kept.st_uid, 0U);
  EXPECT_EQ(kept.st_mode & 07777U, 0440U);
  EXPECT_EQ(report->slugBytes, static_cast<std::uint64_t>(kept.st_size));
  EXPECT_EQ(server_->blob(report->slugDigest)->size(), report->slugBytes);
  wanted.builds.clear();
  auto app = instance("in-slug", "cat made.txt; id -u; ls -l /app; sleep 1000", 10);
  app.layers = {report->slugDigest, base_};
  wanted.instances.push_back(app);
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-slug", InstanceState::running, 30).has_value());
  pause(500);
  const auto lines = logLines("in-slug", "stdout");
  ASSERT_GE(lines.size(), 3U);
  EXPECT_EQ(lines[0], "from-source");
  EXPECT_EQ(lines[1], "it's done");
  EXPECT_EQ(lines[2], "1000");
}

TEST_F(NodeTest, ABuildOfStepsLeavesALayerEachAndTheNextOneBeginsThere) {
  const auto part = sourceOf("mkdir -p part; echo 1 > part/lock", "part");
  auto wanted = work();
  auto first = build("bd-steps",
                     {"echo tools > /tools; ls /app | wc -l > /seen", "cat lock > made; ls > listed",
                      "cat file.txt made > all; cat /tools /seen listed"},
                     20);
  first.steps = {{0, 1, ""}, {1, 1, part}};
  wanted.builds.push_back(first);
  server_->want(wanted);
  const auto report = server_->awaitBuild("bd-steps", 60);
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->state, BuildState::succeeded) << report->failure.detail << "\n" << server_->buildLog("bd-steps");
  const std::string log = server_->buildLog("bd-steps");
  EXPECT_NE(log.find("tools\n0\nlisted\nlock\nmade\n"), std::string::npos)
      << "each saw what it names and what came before it\n"
      << log;
  ASSERT_EQ(report->layers.size(), 2U);
  EXPECT_EQ(report->layers[0].step, 1U);
  EXPECT_GT(report->layers[0].bytes, 0U);
  EXPECT_TRUE(server_->blob(report->layers[0].digest).has_value());
  EXPECT_TRUE(containers().empty());

  wanted.builds.clear();
  auto second = build("bd-next", {"exit 1", "exit 1", "cat file.txt made > all; ls -l made; cat /tools"}, 21);
  second.doneCommands = 2;
  second.layers = {report->layers[0].digest, report->layers[1].digest};
  wanted.builds.push_back(second);
  server_->want(wanted);
  const auto next = server_->awaitBuild("bd-next", 60);
  ASSERT_TRUE(next.has_value());
  ASSERT_EQ(next->state, BuildState::succeeded) << next->failure.detail << "\n" << server_->buildLog("bd-next");
  EXPECT_NE(server_->buildLog("bd-next").find("The first 2 of 3 commands have not changed"), std::string::npos);
  ASSERT_EQ(next->layers.size(), 2U);
  EXPECT_EQ(next->layers[0].bytes, report->layers[0].bytes);

  wanted.builds.clear();
  auto app = instance("in-steps", "cat all; ls -l made all; echo mine >> made; sleep 1000", 10);
  app.layers = {next->slugDigest, report->layers[0].digest, report->layers[1].digest, base_};
  wanted.instances.push_back(app);
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-steps", InstanceState::running, 30).has_value());
  pause(500);
  const auto lines = logLines("in-steps", "stdout");
  ASSERT_GE(lines.size(), 4U);
  EXPECT_EQ(lines[0], "from-source");
  EXPECT_EQ(lines[1], "1");
  for (const std::size_t line : {2U, 3U}) {
    EXPECT_NE(lines[line].find(" app "), std::string::npos) << "what any step made is the app's: " << lines[line];
  }
}

TEST_F(NodeTest, AStepThatFailsNamesItsCommand) {
  auto wanted = work();
  auto failing = build("bd-step", {"true", "exit 3", "true"}, 20);
  failing.steps = {{0, 1, ""}, {1, 1, ""}};
  wanted.builds.push_back(failing);
  server_->want(wanted);
  const auto report = server_->awaitBuild("bd-step", 60);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->failure.detail, "command 2 `exit 3` exited with 3");
  EXPECT_EQ(report->layers.size(), 1U) << "what the first one made is there for the next build";
  EXPECT_TRUE(containers().empty());
}

TEST_F(NodeTest, SaysHowABuildFailed) {
  struct Case {
    std::string id;
    std::vector<std::string> commands;
    std::string code;
    std::string detail;
  };
  const std::vector<Case> cases{
      {"bd-exit", {"true", "exit 2", "echo never"}, "build_failed", "command 2 `exit 2` exited with 2"},
      {"bd-quote", {"echo 'open"}, "build_failed", "command 1"},
      {"bd-disk", {"dd if=/dev/zero of=/app/big bs=1M count=100"}, "build_disk_full", "32 MiB"},
      {"bd-memory", {"dd if=/dev/zero of=/dev/null bs=400M count=1"}, "build_out_of_memory", "128 MiB"},
      {"bd-files",
       {"dd if=/dev/zero of=/app/big bs=1M count=24", "dd if=/dev/zero of=/dev/null bs=400M count=1"},
       "build_out_of_memory",
       "128 MiB is used up"},
      {"bd-forks", {"for i in $(seq 200); do sleep 20 & done; wait"}, "build_pids_limit", "64 processes"},
      {"bd-slow", {"sleep 1000"}, "build_timeout", "within 3 s"},
      {"bd-source", {"true"}, "build_source_missing", ""},
  };
  auto wanted = work();
  for (std::uint32_t i = 0; i < cases.size(); ++i) {
    wanted.builds.push_back(build(cases[i].id, cases[i].commands, 20 + i));
    if (cases[i].id == "bd-slow") wanted.builds.back().timeoutSeconds = 3;
    if (cases[i].id == "bd-source") wanted.builds.back().sourceDigest = std::string(64, 'a');
  }
  server_->want(wanted);
  for (const auto& example : cases) {
    const auto report = server_->awaitBuild(example.id, 60);
    ASSERT_TRUE(report.has_value()) << example.id;
    EXPECT_EQ(report->failure.code, example.code) << example.id << ": " << report->failure.detail;
    EXPECT_NE(report->failure.detail.find(example.detail), std::string::npos) << report->failure.detail;
  }
  EXPECT_EQ(server_->buildLog("bd-exit").find("never\n"), std::string::npos);
  EXPECT_TRUE(containers().empty());
}

TEST_F(NodeTest, UsageOfAnAppIsReportedOnce) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-burn", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 1000", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-burn", InstanceState::running, 30).has_value());
  pause(2000);
  server_->want(work());
  ASSERT_TRUE(server_->awaitInstance("in-burn", InstanceState::stopped, 30).has_value());
  std::uint64_t cpu = 0;
  std::uint64_t lived = 0;
  // A window that ended meanwhile has told of a part already.
  for (int i = 0; i < 150 && (cpu == 0 || lived <= 1'500); ++i) {
    pause(100);
    cpu = lived = 0;
    for (const auto& row : server_->usage()) {
      if (row.instanceId != "in-burn") continue;
      EXPECT_EQ(row.tenantId, "tn-1");
      EXPECT_NE(row.meter, metering::Meter::gap) << row.note;
      if (row.meter == metering::Meter::cpu) cpu += row.quantity;
      if (row.meter == metering::Meter::instanceSeconds) lived += row.quantity;
    }
  }
  EXPECT_GT(cpu, 20'000'000U);
  EXPECT_GT(lived, 1'500U);
  EXPECT_LT(lived, 10'000U);
}

TEST_F(NodeTest, ABatchWhoseSequenceTheLedgerHasOtherwiseGoesAgainUnderAnother) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-again", "sleep 1000", 10));
  server_->refuseNextSequence();
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-again", InstanceState::running, 30).has_value());
  pause(2000);
  server_->want(work());
  ASSERT_TRUE(server_->awaitInstance("in-again", InstanceState::stopped, 30).has_value());
  std::vector<std::string> states;
  for (int i = 0; i < 300 && states.size() < 2; ++i) {
    pause(100);
    states.clear();
    for (const auto& row : server_->usage()) {
      if (row.instanceId == "in-again" && row.meter == metering::Meter::instanceState) states.push_back(row.note);
    }
  }
  ASSERT_EQ(states.size(), 2U) << "what was refused comes again, and what is behind it too";
  EXPECT_TRUE(states.front().starts_with("instance - -> running")) << states.front();
  EXPECT_EQ(states.back(), "instance running -> ended");
  EXPECT_EQ(server_->batches().refused, 1U) << "not a second time under the same sequence";
}

TEST_F(NodeTest, UsageOfAnAppThatEndedWhileTheNodeWasAwayIsCountedOnceAndWhole) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-away", "sleep 3; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-away", InstanceState::running, 30).has_value());
  endProcess(node_, SIGKILL);
  const std::string status = path("state/node/instances/in-away/status");
  for (int i = 0; i < 300 && !std::filesystem::file_size(status); ++i) pause(100);
  ASSERT_GT(std::filesystem::file_size(status), 0U) << "the app does not end";
  pause(8000);
  ASSERT_EQ(containers(), (std::vector<std::string>{"in-away-1"})) << "its group waits for the last reading";
  startNode();
  ASSERT_TRUE(server_->awaitInstance("in-away", InstanceState::crashed, 30).has_value());
  server_->want(work());
  ASSERT_TRUE(server_->awaitInstance("in-away", InstanceState::stopped, 30).has_value());
  std::uint64_t cpu = 0;
  std::uint64_t lived = 0;
  for (int i = 0; i < 200 && cpu == 0; ++i) {
    pause(100);
    lived = 0;
    for (const auto& row : server_->usage()) {
      if (row.instanceId != "in-away") continue;
      if (row.meter == metering::Meter::cpu) cpu += row.quantity;
      if (row.meter == metering::Meter::instanceSeconds) lived += row.quantity;
    }
  }
  EXPECT_GT(lived, 2'000U);
  EXPECT_LT(lived, 9'000U) << "it was over when the node came back";
  EXPECT_GT(cpu, 50'000'000U) << "what it burnt after the node was killed";
  for (const auto& row : server_->usage()) EXPECT_NE(row.note, "group gone without a final reading");
}

}  // namespace
}  // namespace cloister::test
