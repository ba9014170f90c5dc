// exec and run through cloister-node and the real launcher: bytes, codes, terminals, and who ends with whom.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/integration/node/harness.h"

namespace cloister::test {
namespace {

using model::InstanceState;
using model::SessionKind;

void pause(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST_F(NodeTest, JoinsSessions) {
  auto wanted = work();
  auto app = instance("in-web", "echo hello from the app; sleep 1000", 10);
  app.environment["GREETING"] = "good day";
  wanted.instances.push_back(app);
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());

  auto exec = session("ss-exec", SessionKind::exec);
  exec.instanceId = "in-web";
  auto typed = FakeServer::command({"/bin/sh", "-c", "cat; echo $GREETING; id -u; echo oops >&2; exit 7"});
  typed.insert(typed.end(), {std::string(1, '\0') + "typed\n", "\x03{\"stdinClosed\": true}"});
  server_->expectSession("ss-exec", typed);
  auto tty = session("ss-tty", SessionKind::exec);
  tty.instanceId = "in-web";
  tty.terminal = true;
  tty.rows = 33;
  tty.columns = 99;
  server_->expectSession("ss-tty", FakeServer::command({"/bin/sh", "-c", "stty size; kill -15 $$"}));
  auto run = session("ss-run", SessionKind::run);
  run.runInstance = instance("in-once", "", 30);
  server_->expectSession("ss-run", FakeServer::command({"/bin/sh", "-c", "echo one-off as $(id -u); exit 4"}));
  auto logs = session("ss-logs", SessionKind::logs);
  server_->expectSession("ss-logs", {});
  auto missing = session("ss-missing", SessionKind::exec);
  missing.instanceId = "in-other";
  server_->expectSession("ss-missing", FakeServer::command({"true"}));
  wanted.sessions = {exec, tty, run, logs, missing};
  server_->want(wanted);

  const auto executed = server_->awaitSession("ss-exec", 20);
  EXPECT_EQ(executed.said.at(1), "typed\ngood day\n1000\n");
  EXPECT_EQ(executed.said.at(2), "oops\n");
  EXPECT_EQ(executed.last, "{\"exit\":7}");
  const auto terminal = server_->awaitSession("ss-tty", 20);
  ASSERT_TRUE(terminal.said.contains(1));
  EXPECT_NE(terminal.said.at(1).find("33 99"), std::string::npos) << terminal.said.at(1);
  EXPECT_EQ(terminal.last, "{\"exit\":143}");
  const auto once = server_->awaitSession("ss-run", 20);
  EXPECT_EQ(once.said.at(1), "one-off as 1000\n");
  EXPECT_EQ(once.last, "{\"exit\":4}");
  const auto logged = server_->awaitSession("ss-logs", 20);
  EXPECT_NE(logged.said.at(1).find("hello from the app"), std::string::npos);
  EXPECT_NE(server_->awaitSession("ss-missing", 20).last.find("does not run"), std::string::npos);
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-web-1"}));
}

TEST_F(NodeTest, ACommandThatRanOutOfMemorySaysSoAndTheStopAfterItDoesNot) {
  auto wanted = work();
  auto app = instance("in-web", "trap '' TERM; while :; do sleep 1; done", 10);
  app.limits.memoryBytes = 32UL << 20U;
  wanted.instances.push_back(app);
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());
  auto exec = session("ss-exec", SessionKind::exec);
  exec.instanceId = "in-web";
  server_->expectSession("ss-exec", FakeServer::command({"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"}));
  auto run = session("ss-run", SessionKind::run);
  run.runInstance = instance("in-once", "", 30);
  run.runInstance.limits.memoryBytes = 16UL << 20U;
  server_->expectSession("ss-run", FakeServer::command({"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"}));
  wanted.sessions = {exec, run};
  server_->want(wanted);
  const std::string notice = "killed: out of memory; the instance may have ";
  EXPECT_NE(server_->awaitSession("ss-exec", 20).last.find(notice + "32 MiB"), std::string::npos);
  EXPECT_NE(server_->awaitSession("ss-run", 20).last.find(notice + "16 MiB"), std::string::npos);
  wanted.sessions.clear();
  wanted.instances[0].desired = model::DesiredState::stop;
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::stopped, 30).has_value());
  const auto lines = logLines("in-web", "system");
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "was killed, for it had not ended in its time to stop");
}

TEST_F(NodeTest, WhatACommandLeftBehindDoesNotHoldTheStop) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-web", "exec sleep 1000", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());
  auto exec = session("ss-exec", SessionKind::exec);
  exec.instanceId = "in-web";
  server_->expectSession("ss-exec",
                         FakeServer::command({"/bin/sh", "-c", "setsid sleep 999 </dev/null >/dev/null 2>&1 &"}));
  wanted.sessions = {exec};
  server_->want(wanted);
  EXPECT_EQ(server_->awaitSession("ss-exec", 20).last, "{\"exit\":0}");
  wanted.sessions.clear();
  wanted.instances[0].desired = model::DesiredState::stop;
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::stopped, 30).has_value());
  EXPECT_EQ(logLines("in-web", "system").back(), "was killed by signal 15 (SIGTERM)");
}

TEST_F(NodeTest, SessionsGiveBytesWholeAndSayWhyACommandDidNotStart) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-web", "sleep 1000", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());
  const auto exec = [&](const std::string& id, std::vector<std::string> frames) {
    auto one = session(id, SessionKind::exec);
    one.instanceId = "in-web";
    wanted.sessions.push_back(one);
    server_->expectSession(id, std::move(frames));
  };
  exec("ss-bytes", FakeServer::command({"printf", "%s|%s", "\xff\xfe", std::string(100'000, 'x')}));
  auto large = FakeServer::command({"/bin/sh", "-c", "sleep 1; busybox wc -c"});
  for (int i = 0; i < 50; ++i) large.push_back(std::string(1, '\0') + std::string(100'000, static_cast<char>(i)));
  large.emplace_back("\x03{\"stdinClosed\": true}");
  exec("ss-large", large);
  exec("ss-stdout", FakeServer::command({"/bin/sh", "-c", "echo out >/dev/stdout; echo err >>/dev/stderr"}));
  exec("ss-nosuch", FakeServer::command({"nosuch"}));
  exec("ss-directory", FakeServer::command({"/etc"}));
  exec("ss-long", FakeServer::command({"echo", std::string(140'000, 'x')}));
  exec("ss-nothing", {"\x03{\"start\": true}"});
  auto run = session("ss-run", SessionKind::run);
  run.runInstance = instance("in-once", "", 30);
  wanted.sessions.push_back(run);
  server_->expectSession("ss-run", FakeServer::command({"/no/such"}));
  server_->want(wanted);

  EXPECT_EQ(server_->awaitSession("ss-bytes", 20).said.at(1), "\xff\xfe|" + std::string(100'000, 'x'));
  const auto counted = server_->awaitSession("ss-large", 20);
  EXPECT_EQ(counted.said.at(1), "5000000\n");
  const auto named = server_->awaitSession("ss-stdout", 20);
  EXPECT_EQ(named.said.at(1), "out\n");
  EXPECT_EQ(named.said.at(2), "err\n");
  EXPECT_EQ(server_->awaitSession("ss-nosuch", 20).last,
            "{\"error\":\"nosuch: no such program in the container\",\"exit\":127}");
  EXPECT_TRUE(server_->awaitSession("ss-directory", 20).last.ends_with(",\"exit\":126}"));
  EXPECT_NE(server_->awaitSession("ss-long", 20).last.find("argument 1 has 140000 bytes: one argument may have 131071"),
            std::string::npos);
  EXPECT_EQ(server_->awaitSession("ss-nothing", 20).last, "{\"error\":\"there is no command\"}");
  EXPECT_TRUE(server_->awaitSession("ss-run", 20).last.ends_with(",\"exit\":127}"));
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-web-1"}));
}

TEST_F(NodeTest, AClientThatLeavesTakesItsCommandAlongAndSoDoesTheNode) {
  auto wanted = work();
  wanted.instances.push_back(instance("in-web", "sleep 1001", 10));
  server_->want(wanted);
  ASSERT_TRUE(server_->awaitInstance("in-web", InstanceState::running, 30).has_value());
  const auto sleeping = [&] {
    auto look = wanted;
    auto one = session("ss-look-" + std::to_string(++looks_), SessionKind::exec);
    one.instanceId = "in-web";
    look.sessions = {one};
    server_->expectSession(
        one.id, FakeServer::command({"/bin/sh", "-c",
                                     "for f in /proc/[0-9]*/cmdline; do busybox tr '\\0' ' ' <$f; echo; done "
                                     "2>/dev/null | busybox grep '^sleep 100[0-9] $' | busybox sort | "
                                     "busybox tr -d '\\n'"}));
    server_->want(look);
    return server_->awaitSession(one.id, 20).said[1];
  };
  const auto begin = [&](const std::string& id, SessionKind kind, bool terminal, const std::string& leaveAt,
                         const std::string& shell) {
    auto one = session(id, kind);
    one.instanceId = "in-web";
    one.terminal = terminal;
    if (kind == SessionKind::run) one.runInstance = instance("in-once", "", 31);
    server_->expectSession(id, FakeServer::command({"/bin/sh", "-c", shell}), leaveAt);
    auto now = wanted;
    now.sessions = {one};
    server_->want(now);
  };
  const std::string stubborn = "trap '' HUP TERM; busybox setsid sleep 1002 & sleep 1003 & echo ready; sleep 1004";
  for (const bool terminal : {false, true}) {
    begin(terminal ? "ss-tty" : "ss-pipes", SessionKind::exec, terminal, "ready", stubborn);
    EXPECT_TRUE(server_->awaitSession(terminal ? "ss-tty" : "ss-pipes", 20).closed);
    std::string left;
    for (int i = 0; i < 100 && left != "sleep 1001 "; ++i) {
      pause(50);
      left = sleeping();
    }
    EXPECT_EQ(left, "sleep 1001 ") << (terminal ? "terminal" : "pipes");
  }
  begin("ss-run", SessionKind::run, false, "ready", stubborn);
  EXPECT_TRUE(server_->awaitSession("ss-run", 20).closed);
  for (int i = 0; i < 100 && containers().size() > 1; ++i) pause(100);
  EXPECT_EQ(containers(), (std::vector<std::string>{"in-web-1"}));

  begin("ss-killed", SessionKind::exec, false, "", stubborn);
  for (int i = 0; i < 100 && sleeping().find("sleep 1004") == std::string::npos; ++i) pause(50);
  endProcess(node_, SIGKILL);
  server_->want(wanted);
  startNode();
  std::string left;
  for (int i = 0; i < 100 && left != "sleep 1001 "; ++i) {
    pause(50);
    left = sleeping();
  }
  EXPECT_EQ(left, "sleep 1001 ") << "an exec that the killed node had";
}

}  // namespace
}  // namespace cloister::test
