// WaitingRoom: where connections wait until a whole request is there, all of them in one thread.
//
//   accept ─► head ─► taken by a worker ─► giveBack(): head again, body, the rest of the answer, or the end
//
// Nothing here costs more than a descriptor and the bytes that came, so idle and slow clients hold no worker. A head
// has 20 seconds from its first byte, an idle connection 30; bodies of up to 64 KiB are waited for with the head,
// larger ones when the server asks for them. When a source, a caller or all together have too many connections here,
// the one that has waited longest without a request goes first: those that are only being closed, then those that never
// sent a good request, then idle ones of callers, last those with an answer or a body on its way.
//
// Threads: giveBack() and stop() from any; `take` is called in the room's own. Failures: the constructor throws; a
// connection that fails is closed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/connection.h"
#include "sandbox/base/poller.h"

namespace cloister::api {

struct RoomLimits {
  std::size_t connections = 4096;
  std::size_t perSource = 256;  // of those that have sent no good request yet; 0: no bound
  std::size_t perCaller = 256;
  std::chrono::seconds head{20};
  std::chrono::seconds idle{30};
  std::chrono::seconds body{30};  // of what the room waits for
  std::chrono::seconds send{30};  // between two pieces of an answer
  std::chrono::seconds sendWhole{300};
  std::chrono::seconds linger{10};  // for a client that still sends after its answer
  std::size_t lingerBytes = 64UL << 20U;
  std::size_t bodyWithHead = 64UL << 10U;
  std::size_t bodyMost = 1UL << 20U;
};

// What happens with a connection once its output is sent.
enum class Next : std::uint8_t { head, body, linger, close };

class WaitingRoom {
 public:
  // Takes the connection, or says what to answer at once before it is closed.
  using Take = std::function<std::string(Connection::Ptr connection)>;
  using Refuse = std::function<std::string(const HeadRefusal& refusal)>;
  // `listener` is a listening socket; the room makes it non-blocking. start() lets clients in.
  WaitingRoom(int listener, RoomLimits limits, Take take, Refuse refuse);
  ~WaitingRoom() { stop(); }
  WaitingRoom(const WaitingRoom&) = delete;
  WaitingRoom& operator=(const WaitingRoom&) = delete;

  void start();
  void giveBack(Connection::Ptr connection, Next next);
  void stop();
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t { head, body, sending, lingering };
  struct Guest {
    Connection::Ptr connection;
    Phase phase = Phase::head;
    Next next = Next::close;
    Clock::time_point since;
    Clock::time_point due;
    Clock::time_point sendingSince;
    std::string group;
    int rank = 0;
    bool begun = false;  // the first byte of a head is there
    bool watched = false;
  };
  using Order = std::set<std::tuple<int, Clock::time_point, Guest*>>;

  void run();
  void acceptAll();
  void admit(Connection::Ptr connection, Next next);
  void settle(Guest& guest, Phase phase, std::chrono::seconds within);
  void place(Guest& guest);
  void unplace(Guest& guest);
  void ready(Guest& guest, bool broken);
  void readHead(Guest& guest);
  void readBody(Guest& guest);
  void sendRest(Guest& guest);
  void afterSending(Guest& guest);
  void answer(Guest& guest, const std::string& text);
  void hand(Guest& guest);
  void leave(Guest& guest);
  void expire(Guest& guest);
  void makeRoom(const std::string& group, bool proven);
  [[nodiscard]] bool evictFrom(Order& order);
  [[nodiscard]] static int rankOf(const Guest& guest);

  int listener_;
  RoomLimits limits_;
  Take take_;
  Refuse refuse_;
  Poller poller_;
  std::unordered_map<Guest*, std::unique_ptr<Guest>> guests_;
  std::vector<std::unique_ptr<Guest>> gone_;  // until the events of this round are done
  Order order_;
  std::map<std::string, Order> groups_;
  std::set<std::pair<Clock::time_point, Guest*>> due_;
  std::atomic<std::size_t> count_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::pair<Connection::Ptr, Next>> back_;
  std::thread thread_;
};

}  // namespace cloister::api
