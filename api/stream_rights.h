// StreamRights: ends streams whose caller may no longer have them.
//
// A request is judged once, when it comes; a stream lasts. So each one is held here for as long as it lives, and looked
// at again within kEvery of every change in the store: its token may be revoked, its tenant or its app removed. why()
// then says so, upon which the stream's own loop ends it in order; one that does not within kGrace, because it waits
// for a client that reads nothing, has its connection cut.
//
//   const auto held = services.rights.hold(request, app.id, StreamRights::Use::reading);
//   while (held->why().empty()) ...
//
// Threads: any; sweep() by one. Failures: std::runtime_error when the connection cannot be held; a store that does not
// answer ends nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "api/request.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::store {
class Store;
}

namespace cloister::api {

class StreamRights {
 public:
  static constexpr std::chrono::milliseconds kEvery{250};
  static constexpr std::chrono::milliseconds kGrace{500};

  // running: a command, which a suspended tenant may not have either.
  enum class Use { reading, running };

  explicit StreamRights(store::Store& store) : store_(store) {}
  StreamRights(const StreamRights&) = delete;
  StreamRights& operator=(const StreamRights&) = delete;

  class Held {
   public:
    Held(StreamRights& rights, const Request& request, std::string app, Use use, UniqueFd connection);
    ~Held();
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    // Why the stream has to end; empty while it may go on.
    [[nodiscard]] std::string why() const;

   private:
    friend class StreamRights;
    StreamRights& rights_;
    std::string token_;
    std::string tenant_;
    std::string app_;
    Use use_;
    UniqueFd connection_;
    std::atomic<bool> over_{false};
    std::string why_;  // written before over_
    std::chrono::steady_clock::time_point since_{};
  };
  // `app`: the id of the one that the stream is about, or empty. The connection closes when both ends of it are gone:
  // the stream's own, and what comes back.
  [[nodiscard]] std::unique_ptr<Held> hold(Request& request, const std::string& app, Use use);

  void sweep();

 private:
  [[nodiscard]] std::string judge(const Held& held) const;

  store::Store& store_;
  std::mutex mutex_;
  std::set<Held*> held_;
  bool joined_ = false;  // one came that was not looked at yet
  std::uint64_t seen_ = 0;
};

}  // namespace cloister::api
