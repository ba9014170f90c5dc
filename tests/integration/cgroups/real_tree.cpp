#include "tests/integration/cgroups/real_tree.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace cloister::cgroups {

launcher::Limits limits(std::uint64_t memory, std::uint64_t cpuMillis, std::uint64_t pids) {
  launcher::Limits bounds;
  bounds.memoryBytes = memory;
  bounds.cpuMillis = cpuMillis;
  bounds.pids = pids;
  return bounds;
}

int waitFor(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

int touch(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 97;
  auto* at = static_cast<volatile char*>(memory);
  for (std::size_t i = 0; i < bytes; i += 4096) at[i] = 1;
  return 0;
}

Result<std::unique_ptr<Tree>> RealTree::openTree() {
  return Tree::open("cloister-cgroups-test-" + std::to_string(::getpid()), "/");
}

void RealTree::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "RealTree needs root: it makes control groups";
  auto opened = openTree();
  ASSERT_TRUE(opened) << opened.error().message();
  tree = std::move(opened).value();
  auto tenant = tree->putTenant(kTenant, kTenantLimits);
  ASSERT_TRUE(tenant) << tenant.error().message();
}

void RealTree::TearDown() {
  if (!tree) return;
  for (const auto& instance : instances) {
    (void)tree->kill(kTenant, instance);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const auto removed = tree->removeInstance(kTenant, instance, kPatience);
    EXPECT_TRUE(removed) << removed.error().message();
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  const auto removed = tree->removeTenant(kTenant);
  EXPECT_TRUE(removed) << removed.error().message();
  const auto all = tree->removeAll();
  EXPECT_TRUE(all) << all.error().message();
}

Group RealTree::create(const std::string& instance, const launcher::Limits& bounds) {
  auto group = tree->createInstance(kTenant, instance, bounds);
  EXPECT_TRUE(group) << group.error().message();
  instances.push_back(instance);
  return group ? std::move(group).value() : Group{};
}

pid_t RealTree::run(const Group& group, const std::function<int()>& body) {
  std::array<int, 2> gate{};
  EXPECT_EQ(::pipe2(gate.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(gate[1]);
    char byte = 0;
    if (::read(gate[0], &byte, 1) != 1) ::_exit(99);
    ::_exit(body());
  }
  ::close(gate[0]);
  const auto joined = tree->join(group, child, Tree::Born::elsewhere);
  EXPECT_TRUE(joined) << joined.error().message();
  EXPECT_EQ(::write(gate[1], "g", 1), 1);
  ::close(gate[1]);
  return child;
}

}  // namespace cloister::cgroups
