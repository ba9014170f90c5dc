// CallerTerminal: the terminal and the signals of an interactive command for as long as it speaks with a process
// elsewhere.
//
// Raw mode hands every key on; the mode of before comes back with the object's end, also when a signal ended the
// session. Threads: one object a process (dispositions of signals are the process's), used by the thread that made it.
// Failures: Error{stage "terminal", operation, path, errno}.
#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace cloister::terminal {

struct WindowSize {
  std::uint16_t rows = 24;
  std::uint16_t columns = 80;
};

[[nodiscard]] bool isTerminal(int fd);
[[nodiscard]] WindowSize windowSize(int fd);  // 24 x 80 where there is no terminal

// Up to `most` bytes; an empty string at the end of input, or when there is no more to have.
[[nodiscard]] std::string readInput(int fd, std::size_t most);
// All of it, waiting for a slow reader. At most kOutputPiece bytes are taken at once by a pipe that is ready for
// output.
[[nodiscard]] Status writeOutput(int fd, std::string_view data);
inline constexpr std::size_t kOutputPiece = 4096;

enum class Mode { raw, asIs };

class CallerTerminal {
 public:
  // Catches SIGWINCH, SIGINT, SIGTERM and SIGHUP; with `raw` standard input's keys come one by one.
  [[nodiscard]] static Result<CallerTerminal> take(Mode mode);
  CallerTerminal(CallerTerminal&& other) noexcept;
  CallerTerminal& operator=(CallerTerminal&&) = delete;
  CallerTerminal(const CallerTerminal&) = delete;
  CallerTerminal& operator=(const CallerTerminal&) = delete;
  ~CallerTerminal();

  struct Wake {
    bool input = false;    // readable, or at its end
    bool peer = false;     // likewise
    bool output = false;   // takes kOutputPiece bytes, or fails
    bool resized = false;  // SIGWINCH came
    bool ended = false;    // one of the other signals came
  };
  // Waits for any of the descriptors (-1 leaves one out) or a signal, at most that long.
  [[nodiscard]] Result<Wake> wait(int input, int peer, int output, int milliseconds);

 private:
  explicit CallerTerminal(std::optional<termios> before) : before_(before) {}
  std::optional<termios> before_;
  bool owns_ = true;
};

}  // namespace cloister::terminal
