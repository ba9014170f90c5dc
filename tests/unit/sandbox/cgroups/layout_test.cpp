#include "sandbox/cgroups/layout.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

constexpr const char* kHybrid =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified\\040two rw,relatime - cgroup2 cgroup2 rw\n";

std::string without(std::string text, const std::string& word) {
  const auto at = text.find(word);
  const auto begin = text.rfind('\n', at) + 1;
  return text.erase(begin, text.find('\n', at) - begin + 1);
}

TEST(MountInfo, HybridListsTheUnifiedMountFirstAndMountsTogetherOnce) {
  const auto layout = parseMountInfo(kHybrid);
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_EQ(layout->layout, Layout::hybrid);
  ASSERT_EQ(layout->mounts.size(), 5U);
  EXPECT_EQ(layout->mounts[0].path, "/sys/fs/cgroup/unified two");
  EXPECT_EQ(layout->mounts[1].path, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(layout->mounts[1].kinds, (std::vector{DescriptorKind::cpu, DescriptorKind::cpuacct}));
}

TEST(MountInfo, OnlyCgroup2IsUnified) {
  const auto layout =
      parseMountInfo("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_EQ(layout->layout, Layout::unified);
  ASSERT_EQ(layout->mounts.size(), 1U);
  EXPECT_EQ(layout->mounts[0].path, "/sys/fs/cgroup");
}

TEST(MountInfo, NamesWhatIsMissing) {
  const struct {
    std::string text;
    const char* missing;
  } cases[] = {
      {"", "cgroup2"},
      {"no separator\n - \n1 2 3 - cgroup2\n", "cgroup2"},
      {without(kHybrid, "- cgroup2"), "cgroup2"},
      {without(kHybrid, "rw,memory"), "memory"},
      {without(kHybrid, "rw,cpu,cpuacct"), "cpu"},
      {without(kHybrid, "rw,pids"), "pids"},
  };
  for (const auto& one : cases) {
    const auto layout = parseMountInfo(one.text);
    ASSERT_FALSE(layout) << one.text;
    EXPECT_EQ(layout.error().path, one.missing);
    EXPECT_EQ(layout.error().code, ENOTSUP);
  }
}

TEST(MountInfo, BlkioMayBeAbsent) {
  EXPECT_TRUE(parseMountInfo(without(kHybrid, "rw,blkio")));
}

}  // namespace
}  // namespace cloister::cgroups
