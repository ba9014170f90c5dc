#include "controlplane/builds/blobs.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "controlplane/store/store.h"

namespace cloister::builds {
namespace {

namespace fs = std::filesystem;
constexpr const char* kHello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";  // "hello"

class Blobs : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = fs::temp_directory_path() / store::newId("cloister-blobs"); }
  void TearDown() override { fs::remove_all(directory_); }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }
  fs::path directory_;
};

TEST_F(Blobs, NamesBytesByTheirDigest) {
  BlobStore blobs(directory_);
  std::istringstream in("hello");
  const auto blob = blobs.put(in, 5);
  EXPECT_EQ(blob.digest, kHello);
  EXPECT_EQ(blob.size, 5U);
  EXPECT_TRUE(blobs.has(kHello));
  EXPECT_EQ(blobs.size(kHello), 5U);
  std::ifstream file(blobs.path(kHello));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "hello");
  EXPECT_TRUE(blobs.open(kHello).valid());
  std::istringstream again("hello");
  blobs.put(again, 0, kHello);
  EXPECT_EQ(blobs.list().size(), 1U);
  blobs.remove(kHello);
  blobs.remove(kHello);
  EXPECT_FALSE(blobs.has(kHello));
}

TEST_F(Blobs, LeavesNothingOfWhatItRefuses) {
  BlobStore blobs(directory_);
  std::istringstream large(std::string(300'000, 'x'));
  EXPECT_THROW(blobs.put(large, 299'999), TooLarge);
  std::istringstream wrong("hell0");
  EXPECT_THROW(blobs.put(wrong, 0, kHello), DigestMismatch);
  {
    BlobStore::Writer abandoned(blobs, 0);
    abandoned.append("half");
    EXPECT_EQ(files(), 1U);
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(Blobs, OpensDigestsOnly) {
  BlobStore blobs(directory_);
  std::ofstream(directory_ / "secret") << "x";
  for (const char* name :
       {"", "secret", "../secret", "/etc/passwd", "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824"}) {
    EXPECT_FALSE(blobs.has(name)) << name;
    try {
      (void)blobs.path(name);
      ADD_FAILURE() << name;
    } catch (const BlobError& error) {
      EXPECT_EQ(error.code(), EINVAL);
    }
    EXPECT_THROW(blobs.remove(name), BlobError);
  }
  EXPECT_THROW((void)blobs.open(kHello), BlobError);
}

TEST_F(Blobs, DiscardsWhatNobodyHoldsOrRefersTo) {
  BlobStore blobs(directory_);
  std::istringstream in("hello");
  auto first = blobs.put(in, 0);
  std::istringstream again("hello");
  auto second = blobs.put(again, 0);
  first.held = nullptr;
  EXPECT_FALSE(blobs.discard(kHello, [] { return false; }))
      << "another upload of the same bytes is about to refer to it";
  second.held = nullptr;
  EXPECT_FALSE(blobs.discard(kHello, [] { return true; }));
  EXPECT_TRUE(blobs.has(kHello));
  EXPECT_TRUE(blobs.discard(kHello, [] { return false; }));
  EXPECT_FALSE(blobs.has(kHello));
  EXPECT_FALSE(blobs.discard(kHello, [] { return false; }));
}

TEST_F(Blobs, RemovesWhatACrashLeftAndWhatNobodyNeeds) {
  {
    BlobStore blobs(directory_);
    std::ofstream(directory_ / ".incoming-dead") << "half";
    std::istringstream in("hello");
    blobs.put(in, 0);
  }
  BlobStore blobs(directory_);
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(blobs.removeUnused({}, 3600), 0U) << "it came in only now";
  EXPECT_EQ(blobs.removeUnused({kHello}, -1), 0U);
  EXPECT_EQ(blobs.removeUnused({}, -1), 1U);
}

TEST_F(Blobs, WhatTheLauncherHasNeedsNoCopyHere) {
  const std::string shared = directory_.string() + "-shared";
  fs::create_directories(shared);
  BlobStore blobs(directory_, shared);
  std::istringstream in("hello");
  blobs.put(in, 0);
  EXPECT_EQ(blobs.removeShared({}), 0U);
  std::ofstream(shared + "/" + kHello) << "hello";
  EXPECT_EQ(blobs.removeShared({kHello}), 0U) << "asked to keep it";
  EXPECT_EQ(blobs.removeShared({}), 1U);
  EXPECT_EQ(files(), 0U);
  EXPECT_TRUE(blobs.has(kHello));
  EXPECT_TRUE(blobs.isShared(kHello));
  EXPECT_FALSE(blobs.isShared("../" + std::string(kHello)));
  EXPECT_EQ(blobs.size(kHello), 5U);
  EXPECT_EQ(blobs.path(kHello), shared + "/" + kHello);
  EXPECT_TRUE(blobs.open(kHello).valid());
  EXPECT_TRUE(blobs.list().empty());
  blobs.remove(kHello);
  EXPECT_EQ(blobs.removeUnused({}, -1), 0U);
  EXPECT_TRUE(blobs.has(kHello)) << "what is the launcher's is not ours to remove";
  fs::remove_all(shared);
  EXPECT_FALSE(blobs.has(kHello));
}

}  // namespace
}  // namespace cloister::builds
