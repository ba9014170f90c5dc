#include <Poco/Buffer.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/WebSocket.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <termios.h>
#include <unistd.h>

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

// The server's end of a session: checks what came, answers on both streams, ends with `exit` or `error`.
void serveSession(ServerRequest& request, Answer& answer, const std::string& last, std::string& input) {
  Poco::Net::WebSocket socket(request, answer);
  socket.setReceiveTimeout(Poco::Timespan(5, 0));
  const auto send = [&](const std::string& frame) {
    socket.sendFrame(frame.data(), static_cast<int>(frame.size()), Poco::Net::WebSocket::FRAME_BINARY);
  };
  for (bool open = true; open;) {
    Poco::Buffer<char> buffer(0);
    int flags = 0;
    if (socket.receiveFrame(buffer, flags) < 1) break;
    const std::string payload(buffer.begin() + 1, buffer.size() - 1);
    if (buffer[0] == 0) input += payload;
    open = buffer[0] != 3 || payload.find("stdinClosed") == std::string::npos;
  }
  send(std::string("\1out", 4));
  send(std::string("\2err", 4));
  send(std::string("\3") + last);
}

TEST(Exec, PassesStreamsAndTheExitCode) {
  struct Case {
    const char* last;
    int code;
  };
  for (const Case& c :
       {Case{R"({"exit":7})", 7}, Case{R"({"exit":0})", 0}, Case{R"({"error":"no such command"})", 1}}) {
    std::string input;
    const TestServer server([&](const Asked&, std::size_t, ServerRequest& request, Answer& answer) {
      serveSession(request, answer, c.last, input);
    });
    // The session reads the process's own standard input; an empty file ends it at once.
    std::FILE* empty = std::tmpfile();
    ASSERT_EQ(std::fputs("typed", empty) < 0, false);
    std::rewind(empty);
    const int saved = dup(0);
    ASSERT_EQ(dup2(fileno(empty), 0), 0);
    ::testing::internal::CaptureStdout();
    const Outcome outcome =
        cloister({"exec", "shop", "--instance", "in-1", "--", "sh", "-c", "echo --help"}, server.url());
    const std::string shown = ::testing::internal::GetCapturedStdout();
    ASSERT_EQ(dup2(saved, 0), 0);
    close(saved);
    static_cast<void>(std::fclose(empty));
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_EQ(shown, "out");
    EXPECT_EQ(input, "typed");
    EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/exec?argv=sh&argv=-c&argv=echo%20--help&instance=in-1");
    if (c.code == 1) {
      EXPECT_EQ(outcome.err, "cloister: no such command\n");
    }
  }
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
        controls.push_back(payload);
        if (controls.size() == 1) terminal.type("\x03\x04");  // Ctrl-C and Ctrl-D are keys, no signal and no end
      } else {
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
  EXPECT_EQ(server.asked().at(0).uri, "/v1/apps/shop/exec?argv=sh&tty=true&rows=33&columns=101");
  EXPECT_EQ(input, "\x03\x04");
  EXPECT_EQ(controls, (std::vector<std::string>{R"({"resize":{"rows":33,"columns":101}})",
                                                R"({"resize":{"rows":40,"columns":120}})"}));
  EXPECT_EQ(during.c_lflag & (ICANON | ECHO | ISIG), 0U) << "raw while the session lasts";
  EXPECT_EQ(terminal.mode().c_lflag, before.c_lflag) << "and as before afterwards";
}

}  // namespace
}  // namespace cloister::cli
