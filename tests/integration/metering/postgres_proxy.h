// A relay in front of a PostgreSQL server's socket that breaks a connection at the one moment that matters, or at each.
//
// Threads: the relay has its own; act() may be called at any time. Failures: std::runtime_error from the constructor.
#pragma once

#include <atomic>
#include <climits>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace cloister::test {

class PostgresProxy {
 public:
  // Once, at the next COMMIT of any client:
  enum class At : int {
    nothing,
    beforeCommit,  // the server never hears of it; both sides are closed
    afterCommit,   // the server has answered; both sides are closed, the client hears nothing
    silentAfter,   // the server has answered; the client hears nothing, and nothing is closed
  };
  explicit PostgresProxy(std::string serverSocket);
  ~PostgresProxy();
  PostgresProxy(const PostgresProxy&) = delete;
  PostgresProxy& operator=(const PostgresProxy&) = delete;

  void act(At at) { at_ = at; }
  [[nodiscard]] bool acted() const { return at_ == At::nothing; }
  // Once: both sides are closed where a client sends for the `messages`th time from now, and the server never hears it.
  void breakAfter(int messages) { messagesLeft_ = messages; }
  // Once, and in place of a break: `act` runs in a thread of its own, and the message goes on when it is done, or after
  // 100 ms where it waits for what the client holds. The next call of this, or of await(), waits for its end.
  void actBefore(int messages, std::function<void()> act);
  void await();
  [[nodiscard]] bool broke() const { return messagesLeft_ <= 0; }
  // As host=... of a location.
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    bool silent = false;
  };
  void run();
  void accept();
  // False: the pair is over.
  [[nodiscard]] bool fromClient(Pair& pair);
  [[nodiscard]] static bool fromServer(const Pair& pair);

  std::string serverSocket_;
  std::string directory_;
  int listener_ = -1;
  std::atomic<At> at_{At::nothing};
  std::atomic<int> messagesLeft_{INT_MAX};
  std::function<void()> act_;  // set only while messagesLeft_ is far from 0
  std::future<void> acting_;
  std::atomic<bool> stopping_{false};
  std::vector<Pair> pairs_;
  std::thread thread_;
};

}  // namespace cloister::test
