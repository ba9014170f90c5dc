// Commands that enter a container, or have one to themselves: their arguments, their terminal, their end.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include "sandbox/base/streams.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using launcher::DescriptorKind;

struct ExecTest : LauncherTest {
  [[nodiscard]] launcher::ExecRequest execRequest(const std::string& exec, const std::string& shell) const {
    launcher::ExecRequest wanted;
    wanted.instance = "host";
    wanted.exec = exec;
    wanted.argv = {"/bin/sh", "-c", shell};
    wanted.environment = {"PATH=/bin", "TERM=dumb"};
    wanted.workingDirectory = "/app";
    return wanted;
  }
  [[nodiscard]] UniqueFd statusFile() const {
    return UniqueFd(::open(path("exec.status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  }
  // All that a terminal shows until its process has ended.
  static std::string shown(int leader, int pidfd) {
    std::string text;
    for (bool over = false; !over;) {
      over = waitFor(pidfd, 0);
      pollfd item{leader, POLLIN, 0};
      (void)::poll(&item, 1, 50);
      for (;;) {
        std::string piece(4'096, '\0');
        const auto got = streams::readSome(leader, piece.data(), piece.size());
        if (!got || !got->has_value() || **got == 0) break;
        text += piece.substr(0, **got);
      }
    }
    return text;
  }
  // The groups of execs that are there.
  [[nodiscard]] std::vector<std::string> execGroups() const {
    std::vector<std::string> names;
    for (const auto& root : groups()) {
      const std::string group = root + "/t7/host";
      if (::access((group + "/cgroup.kill").c_str(), F_OK) != 0) continue;
      for (const auto& entry : std::filesystem::directory_iterator(group)) {
        if (entry.is_directory()) names.push_back(entry.path().filename());
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

constexpr const char* kTerminalScript =
    "busybox tty; ls -1 /dev/pts; busybox stty size; test -t 0 && test -t 1 && test -t 2 && echo three; echo direct "
    ">/dev/tty; "
    "echo again >/dev/stdout; ls -ln /dev/pts/0; readlink /proc/self/fd/1";

void expectOwnTerminal(const std::string& text) {
  for (const char* line :
       {"/dev/pts/0\r\n0\r\nptmx\r\n", "33 99\r\n", "three\r\n", "direct\r\n", "again\r\n", "crw--w----"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_TRUE(text.ends_with("/dev/pts/0\r\n")) << text;
}

TEST_F(ExecTest, ATerminalIsTheContainersOwn) {
  auto container = launch(request("host", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  auto wanted = execRequest("first", kTerminalScript);
  wanted.terminal = {33, 99};
  const UniqueFd status = statusFile();
  auto handle = client_->exec(wanted, {-1, -1, -1, status.get(), -1});
  ASSERT_TRUE(handle) << handle.error().message();
  const auto kept = streams::openFollower(handle->terminal.get());
  ASSERT_TRUE(kept);
  expectOwnTerminal(shown(handle->terminal.get(), handle->pidfd.get()));
  EXPECT_EQ(readWhole(path("exec.status")), "exit 0\n");
  EXPECT_TRUE(client_->remove("host"));
}

TEST_F(ExecTest, ALaunchWithATerminalHasOneToo) {
  auto wanted = request("host", kTerminalScript);
  wanted.terminal = {33, 99};
  const UniqueFd status = statusFile();
  auto container = client_->launch(wanted, {-1, -1, -1, status.get(), -1});
  ASSERT_TRUE(container) << container.error().message();
  const UniqueFd leader = container->take(DescriptorKind::terminal);
  ASSERT_TRUE(leader);
  const auto kept = streams::openFollower(leader.get());
  ASSERT_TRUE(kept);
  expectOwnTerminal(shown(leader.get(), container->descriptor(DescriptorKind::pid)));
  EXPECT_EQ(readWhole(path("exec.status")), "exit 0\n");
  EXPECT_TRUE(client_->remove("host"));
}

TEST_F(ExecTest, KeysAreSignalsAndAClosedTerminalHangsUp) {
  auto container = launch(request("host", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  for (const bool key : {true, false}) {
    auto wanted = execRequest(key ? "interrupted" : "hung-up", "echo ready; sleep 60");
    wanted.terminal = {24, 80};
    const UniqueFd status = statusFile();
    auto handle = client_->exec(wanted, {-1, -1, -1, status.get(), -1});
    ASSERT_TRUE(handle) << handle.error().message();
    pollfd item{handle->terminal.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&item, 1, 5'000), 1);
    if (key) {
      EXPECT_EQ(::write(handle->terminal.get(), "\x03", 1), 1);
    } else {
      handle->terminal.reset();
    }
    ASSERT_TRUE(waitFor(handle->pidfd.get(), 10));
    EXPECT_EQ(readWhole(path("exec.status")), key ? "signal 2\n" : "signal 1\n");
  }
  EXPECT_TRUE(client_->remove("host"));
}

TEST_F(ExecTest, ArgumentsAreBytesUpToTheKernelsLimit) {
  auto container = launch(request("host", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  const std::string longest(131'071, 'x');
  EXPECT_EQ(exec("host", {"/bin/sh", "-c", "printf %s \"$1\" | wc -c", "sh", longest}).output, "131071\n");
  std::vector<std::string> many{"/bin/sh", "-c", "printf %s \"$@\" | wc -c", "sh"};
  many.insert(many.end(), 7, longest);
  EXPECT_EQ(exec("host", many).output, "917497\n");
  many.assign({"/bin/sh", "-c", "echo $#", "sh"});
  many.insert(many.end(), 16'000, "a");
  EXPECT_EQ(exec("host", many).output, "16000\n");
  EXPECT_EQ(exec("host", {"/bin/sh", "-c", "printf %s \"$1\" | busybox od -An -tx1", "sh", "\xff\xfe\x01"}).output,
            " ff fe 01\n");
  auto tooLong = execRequest("long", "");
  tooLong.argv = {"/bin/true", longest + "x"};
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto refused = client_->exec(tooLong, {null.get(), null.get(), null.get(), null.get(), -1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, E2BIG) << refused.error().message();
  EXPECT_TRUE(client_->remove("host"));

  auto launched = request("large", "");
  launched.argv = {"/bin/sh", "-c", "printf %s \"$1$2\" | wc -c", "sh", longest, longest};
  EXPECT_EQ(run(launched).output, "262142\n");
}

TEST_F(ExecTest, WhatCannotBeExecutedSaysWhy) {
  auto container = launch(request("host", "echo no >/app/text; sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int count = 0;
  for (const auto& [program, code] : {std::pair<const char*, int>{"nosuch", ENOENT},
                                      {"/no/such", ENOENT},
                                      {"/app", EACCES},
                                      {"/etc/hostname", EACCES},
                                      {"/etc/hostname/x", ENOTDIR}}) {
    auto wanted = execRequest("try-" + std::to_string(++count), "");
    wanted.argv = {program};
    const auto refused = client_->exec(wanted, {null.get(), null.get(), null.get(), null.get(), -1});
    ASSERT_FALSE(refused) << program;
    EXPECT_EQ(refused.error().stage, "init") << program;
    EXPECT_EQ(refused.error().operation, "execve") << program;
    EXPECT_EQ(refused.error().code, code) << program;
    EXPECT_EQ(refused.error().path, program);
  }
  EXPECT_TRUE(client_->remove("host"));
}

TEST_F(ExecTest, ItsEndTakesAllThatItStartedAndNothingElse) {
  auto container = launch(request("host", "sleep 61"));
  ASSERT_TRUE(container) << container.error().message();
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd status = statusFile();
  const auto begin = [&](const std::string& name, const std::string& shell) {
    auto handle = client_->exec(execRequest(name, shell), {null.get(), null.get(), null.get(), status.get(), -1});
    EXPECT_TRUE(handle) << handle.error().message();
    return handle ? std::move(handle->pidfd) : UniqueFd();
  };
  // One that left its session, one whose parents are gone, one that ignores what it can.
  const UniqueFd ended = begin(
      "ended", "busybox setsid sleep 62 & (sleep 63 &) ; trap '' HUP TERM INT; (trap '' TERM; sleep 64) & sleep 65");
  const UniqueFd other = begin("other", "sleep 66");
  // A command that ended by itself leaves what it put into the background.
  const UniqueFd daemon = begin("daemon", "sleep 67 & exit 0");
  ASSERT_TRUE(waitFor(daemon.get(), 10));
  const auto sleepers = [&] {
    return exec("host", {"/bin/sh", "-c",
                         "for f in /proc/[0-9]*/cmdline; do busybox tr '\\0' ' ' <$f; echo; done 2>/dev/null | "
                         "grep '^sleep 6[0-9] $' | busybox sort | busybox tr -d '\\n'"})
        .output;
  };
  std::string seen;
  for (int i = 0; i < 100 && seen.size() < 7 * 9; ++i) seen = sleepers();
  EXPECT_EQ(seen, "sleep 61 sleep 62 sleep 63 sleep 64 sleep 65 sleep 66 sleep 67 ");

  ASSERT_TRUE(client_->endExec({"host", "ended"}));
  EXPECT_TRUE(waitFor(ended.get(), 0)) << "gone when the answer comes";
  EXPECT_EQ(sleepers(), "sleep 61 sleep 66 sleep 67 ");
  EXPECT_TRUE(client_->endExec({"host", "ended"})) << "and again";
  EXPECT_TRUE(client_->endExec({"nobody", "ended"}));
  EXPECT_EQ(client_->endExec({"host", "../host"}).error().path, "exec");

  const auto twice =
      client_->exec(execRequest("other", "exit 0"), {null.get(), null.get(), null.get(), status.get(), -1});
  ASSERT_FALSE(twice) << "its name is taken";
  EXPECT_EQ(twice.error().code, EEXIST);
  EXPECT_EQ(execGroups(), (std::vector<std::string>{"daemon", "other"})) << "empty ones go with the next exec";
  EXPECT_TRUE(client_->remove("host")) << "with all that is in it";
  EXPECT_TRUE(waitFor(other.get(), 0));
}

}  // namespace
}  // namespace cloister::test
