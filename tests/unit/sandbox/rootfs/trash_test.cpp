#include "sandbox/rootfs/trash.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "sandbox/base/files.h"

namespace cloister::rootfs {
namespace {

class TrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/cloister-trash-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    for (const char* part : {"/live", "/trash", "/outside"}) ASSERT_EQ(::mkdir((base_ + part).c_str(), 0700), 0);
  }
  void TearDown() override { std::filesystem::remove_all(base_); }

  [[nodiscard]] int openPart(const char* part) const {
    auto fd = files::openDirectory(base_ + part);
    return fd ? fd->release() : -1;
  }
  // Below `at`; the path may be longer than any that open(2) takes.
  static void makeDeep(int at, int levels) {
    UniqueFd here(::dup(at));
    for (int level = 0; level < levels; ++level) {
      ASSERT_EQ(::mkdirat(here.get(), "d", 0700), 0);
      here = UniqueFd(::openat(here.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      ASSERT_TRUE(here.valid());
    }
    const UniqueFd file(::openat(here.get(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid());
  }
  [[nodiscard]] bool isEmpty(const char* part) const { return std::filesystem::is_empty(base_ + part); }

  std::string base_;
};

TEST_F(TrashTest, DepthNeedsNoPathAndNoDescriptors) {
  const UniqueFd trash(openPart("/trash"));
  makeDeep(trash.get(), 5'000);
  const auto done = emptyTrash(trash.get());
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_TRUE(isEmpty("/trash"));
}

TEST_F(TrashTest, BreadthIsStreamed) {
  const UniqueFd trash(openPart("/trash"));
  ASSERT_EQ(::mkdirat(trash.get(), "wide", 0700), 0);
  const UniqueFd wide(::openat(trash.get(), "wide", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 3'000; ++i) {
    ASSERT_EQ(::mkdirat(wide.get(), ("d" + std::to_string(i)).c_str(), 0700), 0);
    ASSERT_EQ(::mknodat(wide.get(), ("f" + std::to_string(i)).c_str(), S_IFREG | 0600, 0), 0);
  }
  const auto done = emptyTrash(trash.get());
  EXPECT_TRUE(done) << done.error().message();
  EXPECT_TRUE(isEmpty("/trash"));
}

TEST_F(TrashTest, LinksAreRemovedAndNotFollowed) {
  const UniqueFd trash(openPart("/trash"));
  ASSERT_EQ(::mknodat(AT_FDCWD, (base_ + "/outside/kept").c_str(), S_IFREG | 0600, 0), 0);
  ASSERT_EQ(::symlinkat((base_ + "/outside").c_str(), trash.get(), "absolute"), 0);
  ASSERT_EQ(::mkdirat(trash.get(), "d", 0700), 0);
  ASSERT_EQ(::symlinkat("../../outside", trash.get(), "d/relative"), 0);
  ASSERT_EQ(::symlinkat("loop", trash.get(), "d/loop"), 0);
  EXPECT_TRUE(emptyTrash(trash.get()));
  EXPECT_TRUE(isEmpty("/trash"));
  EXPECT_EQ(::access((base_ + "/outside/kept").c_str(), F_OK), 0);
}

// The launcher has no CAP_FOWNER, and a tenant's directory may say that only owners delete in it.
TEST_F(TrashTest, WhatOthersOwnGoesWithoutTheRightsOfOwners) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const UniqueFd trash(openPart("/trash"));
  ASSERT_EQ(::mkdirat(trash.get(), "d", 0700), 0);
  ASSERT_EQ(::mkdirat(trash.get(), "d/inner", 0700), 0);
  ASSERT_EQ(::mknodat(trash.get(), "d/file", S_IFREG | 0600, 0), 0);
  for (const char* path : {"d/inner", "d/file", "d"}) ASSERT_EQ(::fchownat(trash.get(), path, 70'000, 70'000, 0), 0);
  ASSERT_EQ(::fchmodat(trash.get(), "d/inner", 0, 0), 0);
  ASSERT_EQ(::fchmodat(trash.get(), "d", S_ISVTX, 0), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    constexpr std::array<unsigned, 2> kChownAndOverride = {0, 1};
    ::_exit(process::setCapabilities(kChownAndOverride) && emptyTrash(trash.get()) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(isEmpty("/trash"));
}

TEST_F(TrashTest, TakesInOneRenameAndDeletesBesideTheCaller) {
  const UniqueFd live(openPart("/live"));
  Trash trash(UniqueFd(openPart("/trash")));
  for (const char* name : {"first", "second"}) {
    ASSERT_EQ(::mkdirat(live.get(), name, 0700), 0);
    const UniqueFd directory(::openat(live.get(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    makeDeep(directory.get(), 300);
    const auto taken = trash.take(live.get(), name);
    ASSERT_TRUE(taken) << taken.error().message();
    EXPECT_TRUE(isEmpty("/live"));
    ASSERT_TRUE(trash.wake());
    for (int wait = 0; wait < 3'000 && !isEmpty("/trash"); ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(isEmpty("/trash")) << name;
  }
}

TEST_F(TrashTest, NothingToTakeIsSaid) {
  const UniqueFd live(openPart("/live"));
  Trash trash(UniqueFd(openPart("/trash")));
  const auto taken = trash.take(live.get(), "missing");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ENOENT);
}

}  // namespace
}  // namespace cloister::rootfs
