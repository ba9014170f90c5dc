#include "api/cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace cloister::cli {
namespace {

volatile std::sig_atomic_t resizedFlag = 0;
volatile std::sig_atomic_t endedFlag = 0;

void noteSignal(int number) {
  if (number == SIGWINCH) {
    resizedFlag = 1;
  } else {
    endedFlag = 1;
  }
}

constexpr std::array<int, 4> kSignals{SIGWINCH, SIGTERM, SIGHUP, SIGINT};

void setHandlers(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

// Signals stay blocked but within ppoll(), so that none slips in between the look at the flags and the wait.
void blockSignals(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals) sigaddset(&set, number);
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

bool isTerminal(int fd) {
  return isatty(fd) == 1;
}

WindowSize windowSize(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {size.ws_row, size.ws_col};
}

Terminal::Terminal(Mode mode) {
  if (mode == Mode::raw) {
    termios current{};
    if (tcgetattr(STDIN_FILENO, &current) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot read the terminal's mode");
    }
    saved_ = current;
    cfmakeraw(&current);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &current) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot set the terminal to raw mode");
    }
  }
  resizedFlag = 0;
  endedFlag = 0;
  blockSignals(SIG_BLOCK);
  setHandlers(noteSignal);
}

Terminal::~Terminal() {
  if (saved_) tcsetattr(STDIN_FILENO, TCSADRAIN, &*saved_);
  setHandlers(SIG_DFL);
  blockSignals(SIG_UNBLOCK);
}

Terminal::Wake Terminal::wait(int input, int peer, int milliseconds) {
  std::array<pollfd, 2> fds{pollfd{input, POLLIN, 0}, pollfd{peer, POLLIN, 0}};
  const timespec limit{milliseconds / 1000, (milliseconds % 1000) * 1'000'000L};
  sigset_t open;
  sigemptyset(&open);
  const int ready = ppoll(fds.data(), fds.size(), &limit, &open);
  if (ready < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "ppoll");
  Wake wake;
  wake.input = ready > 0 && fds[0].revents != 0;
  wake.peer = ready > 0 && fds[1].revents != 0;
  wake.resized = resizedFlag != 0;
  wake.ended = endedFlag != 0;
  resizedFlag = 0;
  return wake;
}

std::string readInput(int fd) {
  std::string data(16384, '\0');
  const ssize_t count = read(fd, data.data(), data.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return readInput(fd);
  data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return data;
}

void writeOutput(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      static_cast<void>(poll(&writable, 1, 1000));
      continue;
    }
    if (count < 0) throw std::system_error(errno, std::generic_category(), "cannot write output");
    data.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace cloister::cli
