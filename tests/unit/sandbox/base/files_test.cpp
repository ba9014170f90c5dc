#include "sandbox/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include <gtest/gtest.h>

namespace cloister::files {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    std::filesystem::create_directories(root_ / "in/deep");
    ASSERT_TRUE(replace((root_ / "outside").string(), "outside"));
    ASSERT_TRUE(replace((root_ / "in/file").string(), "inside"));
    std::filesystem::create_symlink("/etc/passwd", root_ / "in/absolute");
    std::filesystem::create_symlink("../outside", root_ / "in/up");
    std::filesystem::create_symlink("file", root_ / "in/same");
    auto dir = openDirectory((root_ / "in").string());
    ASSERT_TRUE(dir.ok());
    dir_ = std::move(*dir);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  int open(const char* path, Resolve resolve) {
    auto fd = openAt(dir_.get(), path, O_RDONLY, resolve);
    return fd ? 0 : fd.error().code;
  }

  std::filesystem::path root_;
  UniqueFd dir_;
};

TEST_F(Files, resolutionStaysWhereItIsTold) {
  struct Case {
    const char* path;
    Resolve resolve;
    int code;
  };
  for (const auto& [path, resolve, code] :
       {Case{"file", Resolve::beneath, 0}, Case{"same", Resolve::beneath, 0}, Case{"deep/../file", Resolve::beneath, 0},
        Case{"up", Resolve::beneath, EXDEV}, Case{"../outside", Resolve::beneath, EXDEV},
        Case{"absolute", Resolve::beneath, EXDEV}, Case{"/etc/passwd", Resolve::beneath, EXDEV},
        Case{"absolute", Resolve::inRoot, ENOENT}, Case{"../../../file", Resolve::inRoot, 0},
        Case{"/file", Resolve::inRoot, 0}, Case{"up", Resolve::inRoot, ENOENT},
        Case{"same", Resolve::noSymlinks, ELOOP}, Case{"file", Resolve::noSymlinks, 0},
        Case{"absolute", Resolve::noSymlinks, ELOOP}, Case{"up", Resolve::anywhere, 0},
        Case{"missing", Resolve::beneath, ENOENT}}) {
    EXPECT_EQ(open(path, resolve), code) << path << " " << static_cast<int>(resolve);
  }
}

TEST_F(Files, descriptorsCloseOnExec) {
  const auto fd = openAt(dir_.get(), "file", O_RDONLY);
  ASSERT_TRUE(fd.ok());
  EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(Files, readsWholeFilesUpToTheLimit) {
  const std::string large(100'000, 'z');
  ASSERT_TRUE(replace((root_ / "large").string(), large));
  EXPECT_EQ(*read((root_ / "large").string()), large);
  EXPECT_EQ(*read((root_ / "large").string(), large.size()), large);
  const auto limited = read((root_ / "large").string(), large.size() - 1);
  ASSERT_FALSE(limited.ok());
  EXPECT_EQ(limited.error().code, EFBIG);
  EXPECT_EQ(read(dir_.get(), "missing").error().code, ENOENT);
}

TEST_F(Files, replacementIsWholeAndHasItsMode) {
  const std::string path = (root_ / "state").string();
  const mode_t before = ::umask(0077);
  ASSERT_TRUE(replace(path, "one"));
  ASSERT_TRUE(replace(path, "two", 0640));
  ::umask(before);
  EXPECT_EQ(*read(path), "two");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0640U);
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root_))
    entries += entry.path().string().find(".new.") != std::string::npos;
  EXPECT_EQ(entries, 0U) << "a temporary was left";
}

TEST_F(Files, aFailedReplacementLeavesTheOldFileAndNoTemporary) {
  const auto done = replace((root_ / "in/deep").string(), "a directory cannot be replaced by a file");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().operation, "rename");
  EXPECT_TRUE(std::filesystem::is_directory(root_ / "in/deep"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_ / "in"), {}), 5);
  EXPECT_FALSE(replace((root_ / "none/file").string(), "").ok());
}

TEST_F(Files, controlWritesNeverCreate) {
  EXPECT_EQ(writeControl(dir_.get(), "missing", "1").error().code, ENOENT);
  EXPECT_FALSE(std::filesystem::exists(root_ / "in/missing"));
  ASSERT_TRUE(writeControl(dir_.get(), "file", "IN"));
  EXPECT_EQ(*read(dir_.get(), "file"), "INside");
}

TEST_F(Files, directoriesAreMadeOnceAndFilesInTheWayAreAnError) {
  const std::string path = (root_ / "a/b/c").string();
  ASSERT_TRUE(makeDirectories(path, 0700));
  ASSERT_TRUE(makeDirectories(path, 0755));
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms::owner_all);
  EXPECT_FALSE(makeDirectories((root_ / "outside/b").string()).ok());
}

}  // namespace
}  // namespace cloister::files
