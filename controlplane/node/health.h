// HealthProber: asks many instances at once whether they are ready, without waiting for any of them.
//
// A probe is a TCP connect, and with a path an HTTP/1.1 GET whose status must be 200-399. The request names the app's
// own host, because frameworks refuse hosts that their owner did not allow. It has kProbeLimit in all; a server that
// sends a byte a second gains nothing. At most kMaxHead bytes of an answer are looked at. Threads: check() by any; one
// thread of its own runs the probes and calls back. Failures: the callback's text.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sandbox/base/identity.h"
#include "sandbox/base/streams.h"

namespace cloister::node {

struct Probe {
  Ipv4 address = 0;
  std::uint16_t port = 0;
  std::string path;  // empty: that the port accepts is enough
  std::string host;  // what the request names; empty: the address
};

// Verdict on the first bytes of an HTTP answer.
enum class Answer { incomplete, good, bad };
[[nodiscard]] Answer judge(std::string_view head, std::string& reason);

class HealthProber {
 public:
  static constexpr std::chrono::milliseconds kProbeLimit{2000};
  static constexpr std::size_t kMaxHead = 512;
  // Empty: passed; else why not.
  using Done = std::function<void(const std::string& failure)>;

  [[nodiscard]] static Result<std::unique_ptr<HealthProber>> start();
  ~HealthProber();
  HealthProber(const HealthProber&) = delete;
  HealthProber& operator=(const HealthProber&) = delete;
  void check(Probe probe, Done done);

 private:
  struct Running;
  HealthProber() = default;
  void run();

  streams::Wakeup wakeup_;
  std::mutex mutex_;
  std::vector<std::pair<Probe, Done>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::node
