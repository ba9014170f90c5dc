// Real groups under a root of the test's own, and processes in them.
//
// Threads: one test at a time. Failures: gtest assertions; SetUp() says by name what this machine lacks.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/cgroups/cgroups.h"
#include "tests/integration/patience.h"

namespace cloister::cgroups {

inline constexpr TenantIndex kTenant = 21;
inline constexpr launcher::TenantLimits kTenantLimits{512ULL << 20U, 1000, 128, 0};
inline const int kPatience = test::patient(5000);  // milliseconds, for what must come

[[nodiscard]] launcher::Limits limits(std::uint64_t memory, std::uint64_t cpuMillis, std::uint64_t pids);
// Its wait status.
[[nodiscard]] int waitFor(pid_t child);
// Writes to each page of so much memory; returns 0 when it lived.
[[nodiscard]] int touch(std::size_t bytes);

struct RealTree : testing::Test {
  std::unique_ptr<Tree> tree;
  std::vector<std::string> instances;

  void SetUp() override;
  // Removes all that the test made, and fails when something stays.
  void TearDown() override;

  [[nodiscard]] static Result<std::unique_ptr<Tree>> openTree();
  Group create(const std::string& instance, const launcher::Limits& bounds);
  // A child that runs `body` after it has been moved into `group`.
  pid_t run(const Group& group, const std::function<int()>& body);
};

}  // namespace cloister::cgroups
