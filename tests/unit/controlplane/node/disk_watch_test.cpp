#include "controlplane/node/disk_watch.h"

#include <gtest/gtest.h>

namespace cloister::node {
namespace {

TEST(DiskWatch, saysOnceThatADiskIsFullUntilThereWasRoom) {
  model::InstanceLimits limits;
  limits.diskBytes = 64U << 20U;
  limits.inodes = 4'000;
  DiskWatch watch;
  EXPECT_FALSE(watch.look({32U << 20U, 3'000}, limits));
  EXPECT_EQ(watch.look({4'096, 3'000}, limits), "its disk of 64 MiB is full");
  EXPECT_FALSE(watch.look({0, 3'000}, limits));
  EXPECT_FALSE(watch.look({1U << 20U, 3'000}, limits)) << "some bytes were deleted";
  EXPECT_FALSE(watch.look({0, 3'000}, limits)) << "and written again: nothing new";
  EXPECT_FALSE(watch.look({8U << 20U, 3'000}, limits));
  EXPECT_EQ(watch.look({8U << 20U, 0}, limits), "its disk has all of its 4000 files and directories");
}

}  // namespace
}  // namespace cloister::node
