// LogPump: one thread that carries the output of all instances from their FIFOs to their LogStores.
//
// Order: the FIFO's bytes are copied with tee(2), whole lines are written to the store, and only then are they taken
// from the FIFO. A node that is killed in between loses no line; at most the chunk under way comes twice. A line
// without an end is left in the FIFO until it ends, grows past kLongestLine, stays for kPartialWait, or its instance
// is drained. One that is longer is cut between letters, and each part but the last says that it goes on.
// Rate: kBytesPerSecond with a burst of twice that; beyond it lines are taken and dropped, and a "system" line says
// how many. Every FIFO gets one chunk a round, so a flood delays a neighbour's lines by a round at most.
// Threads: any; the pump's own thread and drain() meet at a mutex per source. Failures: add() returns them; a store
// that cannot be written keeps the bytes in the FIFO, which stops the writer rather than lose lines.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "controlplane/node/log_store.h"
#include "sandbox/base/streams.h"

namespace cloister::node {

inline constexpr std::size_t kLongestLine = 16UL * 1024;
inline constexpr std::string_view kGoesOn = " [the line goes on]";
inline constexpr std::chrono::milliseconds kPartialWait{2000};

// How a chunk splits into lines. `taken` bytes go out of the FIFO; with `flush` also an unfinished line.
enum class Unfinished { leave, flush };
struct Split {
  std::vector<std::string> lines;
  std::size_t taken = 0;
};
[[nodiscard]] Split splitLines(std::string_view chunk, Unfinished unfinished);

// A bucket of bytes.
class Allowance {
 public:
  using Clock = std::chrono::steady_clock;
  Allowance(std::uint64_t bytesPerSecond, Clock::time_point now);
  // False: over the rate, nothing was taken.
  [[nodiscard]] bool take(std::uint64_t bytes, Clock::time_point now);

 private:
  std::uint64_t rate_;
  std::uint64_t tokens_;
  Clock::time_point last_;
};

class LogPump {
 public:
  static constexpr std::uint64_t kBytesPerSecond = 2UL << 20U;

  [[nodiscard]] static Result<std::unique_ptr<LogPump>> start();
  ~LogPump();
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;

  // `out` and `err` are FIFO descriptors, non-blocking.
  [[nodiscard]] Status add(const std::string& instance, UniqueFd out, UniqueFd err, std::shared_ptr<LogStore> store);
  // Everything that is in the FIFOs now, unfinished lines too, is in the store afterwards.
  void drain(const std::string& instance);
  void remove(const std::string& instance);

 private:
  using Clock = Allowance::Clock;
  struct Channel {
    UniqueFd fifo;
    const char* name = "";
    std::optional<Clock::time_point> partialSince;
  };
  struct Source {
    Source(UniqueFd out, UniqueFd err, std::shared_ptr<LogStore> into);
    std::mutex mutex;
    std::array<Channel, 2> channels;
    std::shared_ptr<LogStore> store;
    Allowance allowance;
    std::uint64_t dropped = 0;
    std::uint64_t token = 0;  // of the first channel; the second has the next
  };
  enum class Rest { nothing, more };

  LogPump() = default;
  void run();
  // One chunk. The source's mutex is held.
  [[nodiscard]] Rest serve(Source& source, Channel& channel, const streams::Pipe& scratch, std::string& buffer,
                           Unfinished unfinished);
  void keep(Source& source, const Channel& channel, Split& split, bool& stored);
  [[nodiscard]] std::shared_ptr<Source> find(std::uint64_t token);

  streams::Poller poller_;
  streams::Wakeup wakeup_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Source>> byInstance_;
  std::map<std::uint64_t, std::shared_ptr<Source>> byToken_;
  std::uint64_t nextToken_ = 2;
  std::thread thread_;
};

}  // namespace cloister::node
