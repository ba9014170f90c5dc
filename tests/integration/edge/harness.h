// A real HAProxy with the generated configuration on loopback ports, and what sends requests to it.
//
// Threads: one. Failures: gtest's.
#pragma once

#include <Poco/Process.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/edge/config.h"
#include "controlplane/edge/edge.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::edge {

// An app of its own tenant, unless named.
[[nodiscard]] Route to(std::vector<Backend> backends, const std::string& app = "ap1", const std::string& tenant = "t1");

// A connection that says what it is told, byte for byte.
class Client {
 public:
  explicit Client(std::uint16_t port, const std::string& source = "127.0.0.1", const std::string& target = "127.0.0.1");
  explicit Client(UniqueFd connected) : fd_(std::move(connected)) {}
  void send(const std::string& bytes) const;
  void finish() const;  // nothing more will be sent
  // Until `end` has been seen, the other side closed, or `seconds` are over.
  [[nodiscard]] std::string receive(const std::string& end = "", int seconds = 10) const;
  [[nodiscard]] bool closed() const;  // by the other side, with nothing left to read

 private:
  UniqueFd fd_;
};

// A server that reads the head of a request and leaves the rest to the test.
class RawApp {
 public:
  // Answers on the connection; false ends it.
  using Behaviour = std::function<bool(const Client& client, const std::string& head)>;
  explicit RawApp(Behaviour behaviour);
  ~RawApp();
  RawApp(const RawApp&) = delete;
  RawApp& operator=(const RawApp&) = delete;
  [[nodiscard]] Backend backend() const;
  [[nodiscard]] int requests() const { return requests_; }

 private:
  void serve(UniqueFd connection);
  Behaviour behaviour_;
  UniqueFd listener_;
  std::atomic<int> requests_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

struct Answer {
  int status = 0;
  std::string body;
};

// "GET / HTTP/1.1" to that host on a connection of its own.
[[nodiscard]] std::string request(const std::string& host, const std::string& path = "/",
                                  const std::string& headers = "");

class Edge : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // Before startHaproxy(): options that differ from the usual.
  ConfigOptions options_;
  void startHaproxy();
  void stopHaproxy();
  [[nodiscard]] EdgeMap::Options edgeOptions() const;
  [[nodiscard]] Answer get(const std::string& host) const;
  // The whole answer to these bytes.
  [[nodiscard]] std::string ask(const std::string& bytes, const std::string& source = "127.0.0.1") const;
  [[nodiscard]] std::string mapFile(const char* name) const;
  // A port on which nobody listens.
  [[nodiscard]] static Backend dead();

  std::filesystem::path directory_;
  std::uint16_t port_ = 0;
  std::optional<Poco::ProcessHandle> haproxy_;
};

}  // namespace cloister::edge
