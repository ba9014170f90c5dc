#include "sandbox/base/caller_terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace cloister::terminal {
namespace {

constexpr std::array<int, 4> kSignals{SIGWINCH, SIGTERM, SIGHUP, SIGINT};
volatile std::sig_atomic_t resizedFlag = 0;
volatile std::sig_atomic_t endedFlag = 0;

void noteSignal(int number) {
  if (number == SIGWINCH) {
    resizedFlag = 1;
  } else {
    endedFlag = 1;
  }
}

void setHandlers(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

// Blocked but for the time within ppoll(), so that none slips in between the look at the flags and the wait.
void mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kSignals) sigaddset(&set, number);
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

bool isTerminal(int fd) {
  return ::isatty(fd) == 1;
}

WindowSize windowSize(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {size.ws_row, size.ws_col};
}

std::string readInput(int fd, std::size_t most) {
  std::string data(most, '\0');
  while (true) {
    const ssize_t count = ::read(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd readable{fd, POLLIN, 0};
      static_cast<void>(::poll(&readable, 1, 1000));
      continue;
    }
    data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return data;
  }
}

Status writeOutput(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count >= 0) {
      data.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      static_cast<void>(::poll(&writable, 1, 1000));
    } else if (errno != EINTR) {
      return errnoError("terminal", "write");
    }
  }
  return {};
}

Result<CallerTerminal> CallerTerminal::take(Mode mode) {
  std::optional<termios> before;
  if (mode == Mode::raw) {
    termios current{};
    if (::tcgetattr(STDIN_FILENO, &current) != 0) return errnoError("terminal", "tcgetattr");
    before = current;
    ::cfmakeraw(&current);
    if (::tcsetattr(STDIN_FILENO, TCSADRAIN, &current) != 0) return errnoError("terminal", "tcsetattr");
  }
  resizedFlag = 0;
  endedFlag = 0;
  mask(SIG_BLOCK);
  setHandlers(noteSignal);
  return CallerTerminal(before);
}

CallerTerminal::CallerTerminal(CallerTerminal&& other) noexcept
    : before_(other.before_), owns_(std::exchange(other.owns_, false)) {}

CallerTerminal::~CallerTerminal() {
  if (!owns_) return;
  if (before_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*before_);
  setHandlers(SIG_DFL);
  mask(SIG_UNBLOCK);
}

Result<CallerTerminal::Wake> CallerTerminal::wait(int input, int peer, int output, int milliseconds) {
  std::array<pollfd, 3> fds{pollfd{input, POLLIN, 0}, pollfd{peer, POLLIN, 0}, pollfd{output, POLLOUT, 0}};
  const timespec limit{milliseconds / 1000, (milliseconds % 1000) * 1'000'000L};
  sigset_t open;
  sigemptyset(&open);
  const int ready = ::ppoll(fds.data(), fds.size(), &limit, &open);
  if (ready < 0 && errno != EINTR) return errnoError("terminal", "ppoll");
  Wake wake;
  wake.input = ready > 0 && fds[0].revents != 0;
  wake.peer = ready > 0 && fds[1].revents != 0;
  wake.output = ready > 0 && fds[2].revents != 0;
  wake.resized = std::exchange(resizedFlag, 0) != 0;
  wake.ended = endedFlag != 0;
  return wake;
}

}  // namespace cloister::terminal
