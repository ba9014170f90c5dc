#include "sandbox/base/ownership.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace cloister::files {
namespace {

namespace fs = std::filesystem;

// A directory that somebody else can change is refused wherever it lies on the way.
TEST(Ownership, rootAloneDecides) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  std::string pattern = (fs::temp_directory_path() / "cloister-ownership-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const fs::path root(pattern);
  constexpr uid_t kOther = 1234;
  const std::string own = root / "own/inner";
  fs::create_directories(own);
  ASSERT_EQ(::chmod((root / "own").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(own.c_str(), 0700), 0);
  EXPECT_TRUE(rootsAlone(own));
  EXPECT_TRUE(rootsAlone("/"));
  const auto refused = [&](const char* path) {
    const auto safe = rootsAlone((root / path).string());
    return safe ? 0 : safe.error().code;
  };
  EXPECT_EQ(rootsAlone("tmp").error().code, EINVAL);
  EXPECT_EQ(refused("missing"), ENOENT);
  ASSERT_TRUE(replace((root / "file").string(), "x"));
  EXPECT_EQ(refused("file"), EPERM);
  fs::create_directory_symlink(root / "own", root / "link");
  EXPECT_EQ(refused("link"), EPERM);
  EXPECT_EQ(refused("link/inner"), EPERM);
  ASSERT_EQ(::chmod((root / "own").c_str(), 01775), 0);
  EXPECT_EQ(refused("own"), EPERM) << "sticky, but names can be made in it";
  EXPECT_EQ(refused("own/inner"), 0) << "sticky on the way";
  ASSERT_EQ(::chmod((root / "own").c_str(), 0775), 0);
  EXPECT_EQ(refused("own/inner"), EPERM);
  ASSERT_EQ(::chmod((root / "own").c_str(), 0755), 0);
  ASSERT_EQ(::chown((root / "own").c_str(), kOther, 0), 0);
  EXPECT_EQ(refused("own/inner"), EPERM);
  ASSERT_EQ(::chown((root / "own").c_str(), 0, 0), 0);
  ASSERT_EQ(::chown(own.c_str(), kOther, 0), 0);
  EXPECT_EQ(refused("own/inner"), EPERM);
  fs::remove_all(root);
}

}  // namespace
}  // namespace cloister::files
