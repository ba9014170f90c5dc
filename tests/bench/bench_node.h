// A cloister-node of a benchmark: with the launcher of a Host and a FakeServer of its own, and a user that is no one's.
//
// Threads: not shared. Failures: std::runtime_error naming the step; the destructor ends the node.
#pragma once

#include <sys/types.h>

#include <string>

#include "tests/bench/bench_host.h"
#include "tests/integration/node/fake_server.h"

namespace cloister::bench {

inline constexpr uid_t kNodeUser = 64'123;
inline constexpr TenantIndex kFirstTenant = kTenant + 1;

class Node {
 public:
  // The launcher of `host` has been started.
  explicit Node(const Host& host);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] test::FakeServer& server() { return server_; }
  // Returns when all instances of `work` run.
  void want(const model::NodeWork& work, int seconds);
  void start();
  // With SIGKILL there is nothing that it can still do.
  void stop(int signal);

 private:
  const Host& host_;
  test::FakeServer server_;
  pid_t pid_ = -1;
};

// Tenants tn-0, tn-1 ... with indexes from kFirstTenant on, and no instance.
[[nodiscard]] model::NodeWork workOf(const Host& host, unsigned tenants);
// An instance of tenant tn-`tenant`, with small limits; `place` is its host number in the tenant's network, from 1.
[[nodiscard]] model::DesiredInstance instanceOf(const Host& host, const std::string& id, unsigned tenant,
                                                unsigned place, const std::string& command);

}  // namespace cloister::bench
