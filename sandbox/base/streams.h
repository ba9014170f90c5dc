// Streams: pipes, FIFOs, terminals and the two ways of waiting for them (epoll for a loop, poll for a session).
//
// Every descriptor made here is close-on-exec. Reading and writing never raise: "nothing now" is an empty optional.
// Threads: functions are reentrant; Wakeup::signal() may be called by any thread, the rest of an object by its owner.
// Failures: Error{stage "streams", operation, path, errno}.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::streams {

enum class Blocking { yes, no };

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
[[nodiscard]] Result<Pipe> makePipe(Blocking blocking);
[[nodiscard]] Status setNonBlocking(int fd);
// Another descriptor of the same open file.
[[nodiscard]] Result<UniqueFd> duplicate(int fd);
// Ends a connection for whoever waits on it, in this process and at its other end. The descriptor stays open.
void cutOff(int socket);
// Whoever has an end of it may open that again by its name in /proc, as programs do with /dev/stdout; nobody else comes
// by that name.
[[nodiscard]] Status openToAll(const Pipe& pipe);

// A FIFO with exactly `mode`, whatever the umask. One that is there already is fine; anything else in its place is not.
[[nodiscard]] Status makeFifo(const std::string& path, mode_t mode);
// For reading and writing, so that neither end ever sees the other one missing.
[[nodiscard]] Result<UniqueFd> openFifo(const std::string& path, Blocking blocking);

// An existing or new regular file for writing, cut to nothing, with exactly `mode`.
[[nodiscard]] Result<UniqueFd> createFile(const std::string& path, mode_t mode);
[[nodiscard]] Status sync(int fd);

// Bytes read; 0 at the end; no value when the descriptor has none now.
[[nodiscard]] Result<std::optional<std::size_t>> readSome(int fd, char* buffer, std::size_t capacity);
// Bytes written; no value when the descriptor takes none now.
[[nodiscard]] Result<std::optional<std::size_t>> writeSome(int fd, std::string_view data);

// Copies what `source` (a pipe) holds, up to `capacity`, without taking it: tee(2) into `scratch`, which must be empty,
// and out again. `scratch` is empty afterwards.
[[nodiscard]] Result<std::size_t> peek(int source, const Pipe& scratch, char* buffer, std::size_t capacity);

// True when the process behind the pidfd has ended.
[[nodiscard]] bool ended(int pidfd);
// The same, waiting for it.
[[nodiscard]] bool awaitEnd(int pidfd, std::chrono::milliseconds patience);

struct Terminal {
  UniqueFd leader;
  UniqueFd follower;
};
// Its leader does not block.
[[nodiscard]] Result<Terminal> openTerminal(std::uint16_t rows, std::uint16_t columns);
// The same in the devpts that `multiplexer` lies in; EXDEV when that is something else.
[[nodiscard]] Result<Terminal> openTerminalOf(const char* multiplexer, std::uint16_t rows, std::uint16_t columns);
// The other end of a terminal by its leader, whatever file system that lies on; not as the controlling terminal.
[[nodiscard]] Result<UniqueFd> openFollower(int leader);
[[nodiscard]] Status resizeTerminal(int leader, std::uint16_t rows, std::uint16_t columns);

struct Space {
  std::uint64_t freeBytes = 0;
  std::uint64_t freeInodes = 0;
  std::uint64_t usedBytes = 0;
  bool inMemory = false;  // a tmpfs: what lies there counts as memory of who wrote it
};
// Of the file system that `fd` (O_PATH suffices) lies on.
[[nodiscard]] Result<Space> freeSpace(int fd);

// One poll(2) over `items`; a negative descriptor is skipped. `hangup`: readable when the peer has closed, whatever it
// sent before.
enum class Want : std::uint8_t { input, output, both, hangup };
struct Watched {
  int fd = -1;
  Want want = Want::input;
  bool readable = false;  // also: hung up, or failed
  bool writable = false;
};
[[nodiscard]] Status waitAny(std::span<Watched> items, int milliseconds);

// A counter that wakes a Poller or waitAny().
class Wakeup {
 public:
  [[nodiscard]] static Result<Wakeup> make();
  void signal() const;
  void drain() const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

// An epoll instance; tokens come back with what is readable.
class Poller {
 public:
  enum class Trigger { level, edge };
  [[nodiscard]] static Result<Poller> make();
  [[nodiscard]] Status add(int fd, std::uint64_t token, Trigger trigger) const;
  void remove(int fd) const;
  // Tokens that became ready; empty after the time, or when a signal came.
  [[nodiscard]] Result<std::vector<std::uint64_t>> wait(int milliseconds) const;

 private:
  UniqueFd fd_;
};

// SIGTERM and SIGINT as a descriptor; blocked for this thread and every thread that it starts afterwards.
[[nodiscard]] Result<UniqueFd> terminationSignals();

}  // namespace cloister::streams
