// A session's node end over a real WebSocket, with a process of this machine behind it: nothing is lost, little is
// held, and the process's end is the session's, whoever holds which descriptor.
#include <Poco/Buffer.h>
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/URI.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "controlplane/node/process_session.h"
#include "controlplane/node/session_command.h"
#include "sandbox/base/process.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::node {
namespace {

using cli::test::Asked;
using cli::test::TestServer;
using Clock = std::chrono::steady_clock;
using Poco::Net::WebSocket;

// What cloister-init does: the process in a session of its own, its end written down.
class Command {
 public:
  Command(const sandbox::Standard& standard, const std::string& shell, Tty tty, std::string statusFile) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setsid();
      if (tty == Tty::yes) ::ioctl(standard.in, TIOCSCTTY, 0);
      ::dup2(standard.in, 0);
      ::dup2(standard.out, 1);
      ::dup2(standard.err, 2);
      ::execl("/bin/sh", "sh", "-c", shell.c_str(), nullptr);
      ::_exit(127);
    }
    pidfd_ = std::move(process::openPidfd(pid).value());
    waiter_ = std::thread([pid, file = std::move(statusFile)] {
      int status = 0;
      ::waitpid(pid, &status, 0);
      std::ofstream(file) << (WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                                                : "signal " + std::to_string(WTERMSIG(status)))
                          << '\n';
    });
  }
  ~Command() {
    (void)process::sendSignal(pidfd_.get(), SIGKILL);
    waiter_.join();
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }

 private:
  UniqueFd pidfd_;
  std::thread waiter_;
};

constexpr std::string_view kMore = "{\"more\":";

class SessionOf {
 public:
  explicit SessionOf(std::string shell, Tty tty = Tty::no, std::optional<std::uint64_t> takes = std::nullopt)
      : server_([=, this](const Asked&, std::size_t, TestServer::Request& request, TestServer::Answer& answer) {
          serve(shell, tty, takes, std::make_unique<WebSocket>(request, answer));
          left_ = true;
        }) {
    const Poco::URI uri(server_.url());
    Poco::Net::HTTPClientSession session(uri.getHost(), uri.getPort());
    Poco::Net::HTTPRequest request("GET", "/", Poco::Net::HTTPRequest::HTTP_1_1);
    Poco::Net::HTTPResponse response;
    socket_ = std::make_unique<WebSocket>(session, request, response);
    socket_->setReceiveTimeout(Poco::Timespan(20, 0));
  }
  ~SessionOf() {
    socket_.reset();
    while (!left_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  SessionOf(const SessionOf&) = delete;
  SessionOf& operator=(const SessionOf&) = delete;

  void send(Channel channel, const std::string& payload) {
    const std::string frame = std::string(1, static_cast<char>(channel)) + payload;
    socket_->sendFrame(frame.data(), static_cast<int>(frame.size()), WebSocket::FRAME_BINARY);
  }
  void say(const std::string& control) { send(Channel::control, control); }

  // The next message, grants too, which are added to `granted`; input and empty after the last.
  std::pair<Channel, std::string> any() {
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    const int got = socket_->receiveFrame(buffer, flags);
    if (got < 1 || (flags & WebSocket::FRAME_OP_BITMASK) == WebSocket::FRAME_OP_CLOSE) return {};
    std::string payload(buffer.begin() + 1, static_cast<std::size_t>(got) - 1);
    if (payload.starts_with(kMore)) granted += std::stoull(payload.substr(kMore.size()));
    return {static_cast<Channel>(buffer[0]), std::move(payload)};
  }
  std::pair<Channel, std::string> next() {
    for (;;) {
      if (auto message = any(); !message.second.starts_with(kMore)) return message;
    }
  }
  // All output up to the node's last word.
  struct Rest {
    std::map<Channel, std::string> said;
    std::string last;
  };
  Rest rest() {
    Rest all;
    for (;;) {
      auto [channel, payload] = next();
      if (channel == Channel::control) {
        all.last = payload;
        if (payload.find("exit") != std::string::npos) return all;
      } else if (channel == Channel::input) {
        return all;
      } else {
        all.said[channel] += payload;
      }
    }
  }

  std::uint64_t granted = 0;

 private:
  void serve(const std::string& shell, Tty tty, std::optional<std::uint64_t> takes, std::unique_ptr<WebSocket> socket) {
    const std::string file =
        (std::filesystem::temp_directory_path() / ("session-" + std::to_string(getpid()))).string();
    SessionChannel channel(std::move(socket));
    auto process = ProcessSession::make(tty, file);
    ASSERT_TRUE(process.ok()) << process.error().message();
    {
      streams::Terminal terminal;
      sandbox::Standard standard = process->standard();
      if (tty == Tty::yes) {
        terminal = std::move(streams::openTerminal(33, 99).value());
        standard.in = standard.out = standard.err = terminal.follower.get();
      }
      const Command command(standard, shell, tty, file);
      terminal.follower.reset();
      ASSERT_TRUE(process->begun(std::move(terminal.leader)));
      const std::atomic<bool> stopping{false};
      const auto code = process->run(channel, command.pidfd(), takes, stopping);
      if (code) channel.send(Channel::control, exitMessage(*code));
    }
    channel.close();
    std::filesystem::remove(file);
  }

  std::atomic<bool> left_{false};
  TestServer server_;
  std::unique_ptr<WebSocket> socket_;
};

std::string noise(std::size_t bytes) {
  std::string text(bytes, '\0');
  std::uint32_t state = 7;
  for (auto& c : text) c = static_cast<char>((state = state * 1'664'525U + 1'013'904'223U) >> 24U);
  return text;
}

// Sends all, as far as it is granted, and gives back what came meanwhile.
SessionOf::Rest converse(SessionOf& session, const std::string& input) {
  SessionOf::Rest all;
  std::size_t sent = 0;
  bool closed = false;
  for (;;) {
    while (session.granted > 0 && sent < input.size()) {
      const auto piece = std::min<std::uint64_t>({session.granted, input.size() - sent, 32'768});
      session.send(Channel::input, input.substr(sent, piece));
      session.granted -= piece;
      sent += piece;
    }
    if (sent == input.size() && !std::exchange(closed, true)) session.say(R"({"stdinClosed":true})");
    auto [channel, payload] = session.any();
    if (channel == Channel::control) {
      all.last = payload;
      if (!payload.starts_with(kMore)) return all;
    } else {
      all.said[channel] += payload;
    }
  }
}

// Sends it all whether it was granted or not, and reads nothing meanwhile.
SessionOf::Rest flood(SessionOf& session, const std::string& input) {
  for (std::size_t sent = 0; sent < input.size(); sent += 65'536) {
    session.send(Channel::input, input.substr(sent, 65'536));
  }
  session.say(R"({"stdinClosed":true})");
  return session.rest();
}

TEST(ProcessSession, InputBeyondAllBuffersArrivesWholeHoweverLateItIsRead) {
  const std::string input = noise(8U << 20U);
  for (const char* reader : {"cksum", "sleep 0.3; cksum", "head -c 3000000 >/dev/null; sleep 0.2; wc -c"}) {
    for (const bool asked : {true, false}) {
      SessionOf session(reader);
      const auto rest = asked ? converse(session, input) : flood(session, input);
      EXPECT_EQ(rest.last, R"({"exit":0})") << reader;
      const auto& said = rest.said.at(Channel::output);
      EXPECT_NE(said.find(std::string(reader).ends_with("wc -c") ? "5388608\n" : "8388608\n"), std::string::npos)
          << said;
    }
  }
}

TEST(ProcessSession, GrantsNoMoreThanAWindowWhileNothingIsRead) {
  SessionOf session("sleep 0.5; echo done");
  const std::string input = noise(4U << 20U);
  std::size_t sent = 0;
  for (std::string last; last.find("exit") == std::string::npos;) {
    const auto piece = std::min<std::uint64_t>(session.granted, input.size() - sent);
    if (piece > 0) session.send(Channel::input, input.substr(sent, piece));
    session.granted -= piece;
    sent += piece;
    last = session.any().second;
  }
  EXPECT_LE(sent, model::kWindow + 200'000) << "a pipe holds 64 KiB of it";
}

TEST(ProcessSession, ACommandThatClosesItsInputHasTheClientToldAndGoesOn) {
  // Input that is in the pipe before it is closed tells nothing, and neither does none.
  for (const char* input : {"", "nobody"}) {
    SessionOf session("exec 0<&-; sleep 0.5; exit 3");
    if (*input != '\0') session.send(Channel::input, input);
    EXPECT_EQ(session.next().second, R"({"stdinClosed":true})") << input;
    EXPECT_EQ(session.rest().last, R"({"exit":3})");
  }
}

TEST(ProcessSession, OutputWaitsForTheClientAndIsWhole) {
  SessionOf session("head -c 300000 /dev/zero; head -c 5 /dev/zero >&2", Tty::no, 1'000);
  std::size_t output = 0;
  std::size_t errors = 0;
  for (std::size_t granted = 1'000;;) {
    const auto [channel, payload] = session.next();
    if (channel == Channel::control) {
      // A process closes its input before its end is seen.
      if (payload == R"({"stdinClosed":true})") continue;
      EXPECT_EQ(payload, R"({"exit":0})");
      break;
    }
    (channel == Channel::output ? output : errors) += payload.size();
    EXPECT_LE(output + errors, granted);
    if (output + errors < granted) continue;
    granted += 50'000;
    session.say(R"({"more":50000})");
  }
  EXPECT_EQ(output, 300'000U);
  EXPECT_EQ(errors, 5U);
}

TEST(ProcessSession, WhoHoldsTheOutputLongerIsNotWaitedFor) {
  const auto start = Clock::now();
  for (const Tty tty : {Tty::no, Tty::yes}) {
    SessionOf session("sleep 30 & echo $!; echo hi", tty);
    const auto rest = session.rest();
    EXPECT_NE(rest.said.at(Channel::output).find("hi"), std::string::npos);
    EXPECT_EQ(rest.last, R"({"exit":0})");
    ::kill(std::stoi(rest.said.at(Channel::output)), SIGKILL);
  }
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(3));
}

TEST(ProcessSession, ATerminalIsNotHungUpWhenTheCommandClosesIts) {
  SessionOf session("exec 0<&- 1>&- 2>&-; sleep 0.3; echo again >/dev/tty; exit 5", Tty::yes);
  const auto rest = session.rest();
  EXPECT_EQ(rest.last, R"({"exit":5})");
  EXPECT_EQ(rest.said.at(Channel::output), "again\r\n");
}

TEST(ProcessSession, PipesCanBeOpenedAgainByTheirNames) {
  SessionOf session("echo out >/dev/stdout; echo err >>/dev/stderr; cat /dev/stdin >/proc/self/fd/1");
  session.send(Channel::input, "in\n");
  session.say(R"({"stdinClosed":true})");
  const auto rest = session.rest();
  EXPECT_EQ(rest.said.at(Channel::output), "out\nin\n");
  EXPECT_EQ(rest.said.at(Channel::errors), "err\n");
}

TEST(SessionArguments, AreBytesWithinTheKernelsLimits) {
  Arguments arguments;
  EXPECT_EQ(arguments.add("\xff\xfe"), "");
  EXPECT_EQ(arguments.add(""), "");
  EXPECT_EQ(arguments.add(std::string(model::kMostArgumentBytes, 'x')), "");
  EXPECT_NE(arguments.add(std::string(model::kMostArgumentBytes + 1, 'x')).find("131071"), std::string::npos);
  EXPECT_NE(arguments.add(std::string("a\0b", 3)).find("NUL"), std::string::npos);
  EXPECT_EQ(arguments.take().size(), 3U);
  std::string fault;
  Arguments large;
  for (int i = 0; i < 9 && fault.empty(); ++i) fault = large.add(std::string(120'000, 'x'));
  EXPECT_NE(fault.find("1048576"), std::string::npos) << fault;
  Arguments many;
  fault.clear();
  for (std::size_t i = 0; i <= model::kMostArguments; ++i) fault = many.add("a");
  EXPECT_NE(fault.find("16384"), std::string::npos) << fault;
}

}  // namespace
}  // namespace cloister::node
