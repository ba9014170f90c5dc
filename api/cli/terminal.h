// The caller's terminal during exec and run: raw mode, its size, and what wakes the session.
//
// This is the only place of the command that speaks to the kernel other than through a library.
// Threads: one Terminal a process (signal dispositions are the process's). Failures: std::runtime_error from the
// constructor; the terminal is given back by the destructor, also when a signal ends the session.
#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>
#include <string>

namespace cloister::cli {

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
  friend bool operator==(const WindowSize&, const WindowSize&) = default;
};

[[nodiscard]] bool isTerminal(int fd);
[[nodiscard]] WindowSize windowSize(int fd);

class Terminal {
 public:
  enum class Mode { raw, asIs };
  explicit Terminal(Mode mode);  // raw: of standard input
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  Terminal(Terminal&&) = delete;
  Terminal& operator=(Terminal&&) = delete;

  // What happened first: input or peer readable, the window's size changed, or a signal asked to end.
  struct Wake {
    bool input = false;
    bool peer = false;
    bool resized = false;
    bool ended = false;
  };
  // Waits up to `milliseconds`; -1 leaves out standard input or the peer.
  [[nodiscard]] Wake wait(int input, int peer, int milliseconds);

 private:
  std::optional<termios> saved_;
};

// Up to 16 KiB; an empty string at the end of input.
[[nodiscard]] std::string readInput(int fd);
void writeOutput(int fd, std::string_view data);  // throws when the reader has gone

}  // namespace cloister::cli
