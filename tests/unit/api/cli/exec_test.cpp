#include <Poco/Buffer.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "api/cli/commands.h"
#include "sandbox/base/streams.h"
#include "tests/unit/api/cli/cli_run.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::cloister;
using test::Outcome;
using test::TestServer;
using ServerRequest = TestServer::Request;
using Answer = TestServer::Answer;

// What a client sent over a session's WebSocket.
struct Said {
  std::vector<std::string> arguments;
  std::string input;
  std::vector<std::string> controls;
  std::size_t granted = 0;  // output that the client takes
};

class ServerEnd {
 public:
  ServerEnd(ServerRequest& request, Answer& answer, Said& said) : socket_(request, answer), said_(said) {
    socket_.setReceiveTimeout(Poco::Timespan(5, 0));
  }
  void send(const std::string& frame) {
    socket_.sendFrame(frame.data(), static_cast<int>(frame.size()), Poco::Net::WebSocket::FRAME_BINARY);
  }
  // One message of the client's; false when it left.
  bool receive() {
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    if (socket_.receiveFrame(buffer, flags) < 1) return false;
    const std::string payload(buffer.begin() + 1, buffer.size() - 1);
    if (buffer[0] == 0) said_.input += payload;
    if (buffer[0] == 4) said_.arguments.push_back(payload);
    if (buffer[0] == 3 && payload.starts_with(kMore)) {
      said_.granted += std::stoul(payload.substr(kMore.size()));
    } else if (buffer[0] == 3) {
      said_.controls.push_back(payload);
    }
    return true;
  }
  [[nodiscard]] bool heard(const std::string& control) const {
    return std::find(said_.controls.begin(), said_.controls.end(), control) != said_.controls.end();
  }
  void awaitStart() {
    while (!heard(R"({"start":true})") && receive()) {
    }
  }
  void awaitEndOfInput() {
    while (!heard(R"({"stdinClosed":true})") && receive()) {
    }
  }

 private:
  static constexpr std::string_view kMore = "{\"more\":";
  Poco::Net::WebSocket socket_;
  Said& said_;
};

// Standard input is a file with this text for as long as the object lives.
class Typed {
 public:
  explicit Typed(const std::string& text) : file_(std::tmpfile()), saved_(dup(0)) {
    EXPECT_EQ(std::fwrite(text.data(), 1, text.size(), file_), text.size());
    std::rewind(file_);
    EXPECT_EQ(dup2(fileno(file_), 0), 0);
  }
  ~Typed() {
    EXPECT_EQ(dup2(saved_.get(), 0), 0);
    static_cast<void>(std::fclose(file_));
  }
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;

 private:
  std::FILE* file_;
  UniqueFd saved_;
};

TEST(Exec, PassesStreamsAndTheExitCode) {
  struct Case {
    const char* last;
    int code;
    const char* shown;
    const char* remark;  // behind the command's own errors
  };
  for (const Case& c :
       {Case{R"({"exit":7})", 7, "", ""}, Case{R"({"exit":0})", 0, "", ""},
        Case{R"({"error":"no such instance"})", 1, "cloister: no such instance\n", ""},
        Case{R"({"exit":137,"notice":"killed: out of memory"})", 137, "", "cloister: killed: out of memory\n"},
        Case{R"({"error":"sh: no such program","exit":127})", 127, "", "cloister: sh: no such program\n"}}) {
    Said said;
    const TestServer server([&](const Asked&, std::size_t, ServerRequest& request, Answer& answer) {
      ServerEnd end(request, answer, said);
      end.awaitStart();
      end.send("\3{\"more\":100}");
      end.awaitEndOfInput();
      end.send("\1out");
      end.send("\2err");
      end.send(std::string("\3") + c.last);
    });
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const Outcome outcome = [&] {
      const Typed typed("typed");
      return cloister({"exec", "shop", "--instance", "in-1", "--", "sh", "-c", "echo --help", "", "\xff\xfe"},
                      server.url());
    }();
    const std::string out = ::testing::internal::GetCapturedStdout();
    const std::string err = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_EQ(out, "out");
    EXPECT_EQ(err, std::string("err") + c.remark);
    EXPECT_EQ(said.input, "typed");
    EXPECT_EQ(said.arguments, (std::vector<std::string>{"sh", "-c", "echo --help", "", "\xff\xfe"}));
    EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/exec?instance=in-1");
    EXPECT_EQ(outcome.err, c.shown);
  }
}

TEST(Exec, SendsNoMoreThanItWasGranted) {
  Said said;
  std::vector<std::size_t> seen;
  const TestServer server([&](const Asked&, std::size_t, ServerRequest& request, Answer& answer) {
    ServerEnd end(request, answer, said);
    end.awaitStart();
    for (const std::size_t grant : {10U, 1'000U, 60'000U}) {
      end.send("\3{\"more\":" + std::to_string(grant) + "}");
      const std::size_t before = said.input.size();
      while (said.input.size() < before + grant && end.receive()) {
      }
      seen.push_back(said.input.size() - before);
    }
    end.send("\3{\"stdinClosed\":true}");
    end.send("\3{\"exit\":0}");
  });
  const Typed typed(std::string(200'000, 'x'));
  EXPECT_EQ(cloister({"exec", "shop", "--", "true"}, server.url()).code, 0);
  EXPECT_EQ(seen, (std::vector<std::size_t>{10, 1'000, 60'000}));
}

TEST(Exec, GrantsOutputAsItsReaderTakesIt) {
  constexpr std::size_t kBytes = 3U << 20U;
  Said said;
  const TestServer server([&](const Asked&, std::size_t, ServerRequest& request, Answer& answer) {
    ServerEnd end(request, answer, said);
    end.awaitStart();
    for (std::size_t sent = 0; sent < kBytes;) {
      while (said.granted == 0 && end.receive()) {
      }
      const std::size_t piece = std::min({said.granted, kBytes - sent, std::size_t{32'768}});
      end.send("\1" + std::string(piece, 'y'));
      said.granted -= piece;
      sent += piece;
    }
    end.send("\3{\"exit\":0}");
  });
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(cloister({"run", "shop", "--", "cat"}, server.url()).code, 0);
  EXPECT_EQ(::testing::internal::GetCapturedStdout().size(), kBytes);
}

TEST(Exec, ACommandBeyondTheLimitsIsRefusedBeforeAnythingIsAsked) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 500, "{}"); });
  const auto outcome = cloister({"exec", "shop", "--", "echo", std::string(131'072, 'x')}, server.url());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("argument 1 of the command is too long: 131072 bytes, and one may have 131071"),
            std::string::npos)
      << outcome.err;
  std::vector<std::string> many{"exec", "shop", "--"};
  many.insert(many.end(), 11, std::string(100'000, 'x'));
  EXPECT_NE(cloister(many, server.url()).err.find("1048576"), std::string::npos);
  EXPECT_TRUE(server.asked().empty());
}

// Standard input and output of this process on a terminal of 33 rows and 101 columns, for as long as the object lives.
class OnTerminal {
 public:
  OnTerminal() : terminal_(std::move(streams::openTerminal(33, 101).value())), in_(dup(0)), out_(dup(1)) {
    dup2(terminal_.follower.get(), 0);
    dup2(terminal_.follower.get(), 1);
  }
  ~OnTerminal() {
    dup2(in_.get(), 0);
    dup2(out_.get(), 1);
  }
  OnTerminal(const OnTerminal&) = delete;
  OnTerminal& operator=(const OnTerminal&) = delete;
  void type(const std::string& keys) const {
    EXPECT_EQ(write(leader(), keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void resize(std::uint16_t rows, std::uint16_t columns) const {
    EXPECT_TRUE(streams::resizeTerminal(leader(), rows, columns));
  }
  [[nodiscard]] termios mode() const {
    termios mode{};
    EXPECT_EQ(tcgetattr(terminal_.follower.get(), &mode), 0);
    return mode;
  }
  [[nodiscard]] int leader() const { return terminal_.leader.get(); }

 private:
  streams::Terminal terminal_;
  UniqueFd in_;
  UniqueFd out_;
};

TEST(Exec, OnATerminalPassesKeysAndSizesAndGivesTheModeBack) {
  const OnTerminal terminal;
  const termios before = terminal.mode();
  termios during{};
  std::string input;
  std::vector<std::string> controls;
  const pthread_t command = pthread_self();
  const TestServer server([&](const Asked&, std::size_t, ServerRequest& request, Answer& answer) {
    Poco::Net::WebSocket socket(request, answer);
    socket.setReceiveTimeout(Poco::Timespan(5, 0));
    while (controls.size() < 2) {
      Poco::Buffer<char> buffer(0);
      int flags = 0;
      if (socket.receiveFrame(buffer, flags) < 1) break;
      const std::string payload(buffer.begin() + 1, buffer.size() - 1);
      if (buffer[0] == 3) {
        if (payload.find("resize") != std::string::npos) controls.push_back(payload);
        if (payload != R"({"start":true})") continue;
        const std::string more = "\3{\"more\":100}";
        socket.sendFrame(more.data(), static_cast<int>(more.size()), Poco::Net::WebSocket::FRAME_BINARY);
        terminal.type("\x03\x04");  // Ctrl-C and Ctrl-D are keys, no signal and no end
      } else if (buffer[0] == 0) {
        input += payload;
        if (input.size() < 2) continue;
        during = terminal.mode();
        terminal.resize(40, 120);
        pthread_kill(command, SIGWINCH);
      }
    }
    const std::string last = std::string("\3") + R"({"exit":0})";
    socket.sendFrame(last.data(), static_cast<int>(last.size()), Poco::Net::WebSocket::FRAME_BINARY);
  });
  const Outcome outcome = cloister({"exec", "shop", "--", "sh"}, server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/exec?tty=true&rows=33&columns=101");
  EXPECT_EQ(input, "\x03\x04");
  EXPECT_EQ(controls, (std::vector<std::string>{R"({"resize":{"rows":33,"columns":101}})",
                                                R"({"resize":{"rows":40,"columns":120}})"}));
  EXPECT_EQ(during.c_lflag & (ICANON | ECHO | ISIG), 0U) << "raw while the session lasts";
  EXPECT_EQ(terminal.mode().c_lflag, before.c_lflag) << "and as before afterwards";
}

}  // namespace
}  // namespace cloister::cli
