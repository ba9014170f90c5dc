// Deadlines: closes connections that take too long to send what the server waits for, however evenly they drip it.
//
// Poco's time-outs bound one receive; these bound a whole request head or body.
// Threads: any; a thread of its own checks each second. Failures: none.
#pragma once

#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/TCPServer.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace cloister::api {

class Deadlines : public Poco::Net::TCPServerConnectionFilter {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Deadlines(std::chrono::seconds head);
  ~Deadlines() override;
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  // Poco asks for each new connection: its request head is due from now on.
  bool accept(const Poco::Net::StreamSocket& socket) override;
  void expect(const Poco::Net::StreamSocket& socket, std::chrono::seconds within);
  void met(const Poco::Net::StreamSocket& socket);

 private:
  void run();
  struct Due {
    Poco::Net::StreamSocket socket;
    Clock::time_point at;
  };
  std::chrono::seconds head_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::map<const void*, Due> due_;
  std::thread thread_;
};

}  // namespace cloister::api
