#include "controlplane/node/layers.h"

#include <algorithm>

#include "controlplane/node/sha256.h"
#include "sandbox/base/files.h"
#include "tests/unit/controlplane/node/node_fixture.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

std::string digestOf(const std::string& bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

TEST(Sha256, KnowsTheStandardsExample) {
  EXPECT_EQ(digestOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

class Layers : public TemporaryDirectory {
 protected:
  FetchBlob serving(const std::string& bytes) {
    return [this, bytes](const std::string&, const BlobSink& sink) {
      ++fetched_;
      sink(bytes.substr(0, bytes.size() / 2));
      sink(bytes.substr(bytes.size() / 2));
    };
  }
  void SetUp() override {
    fs::create_directory(store_);
    launcher_.store = store_;
  }
  // What lies in the cache's own directory beside the launcher's store.
  [[nodiscard]] std::size_t own() const {
    const fs::directory_iterator entries(root_);
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries))) - 1;
  }
  const std::string store_ = root_ + "/store";
  FakeLauncher launcher_;
  int fetched_ = 0;
};

TEST_F(Layers, FetchesAndMountsOnce) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, store_, serving("image"), launcher_);
  ASSERT_TRUE(cache.ensure({digest}).ok());
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1);
  EXPECT_EQ(launcher_.mounted.size(), 1U);
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
  EXPECT_EQ(own(), 0U) << "the launcher has the only copy";
  cache.forgetMounts();
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1) << "a launcher that restarted needs the mount, not the bytes";
  EXPECT_EQ(launcher_.mounted.size(), 2U);
  LayerCache nextLife(root_, store_, serving("image"), launcher_);
  ASSERT_TRUE(nextLife.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1);
}

TEST_F(Layers, OtherBytesAreNeverKept) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, store_, serving("imagE"), launcher_);
  const auto done = cache.ensure({digest});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, EBADMSG);
  EXPECT_EQ(own(), 0U);
  EXPECT_TRUE(launcher_.mounted.empty());
}

TEST_F(Layers, ABrokenDownloadIsBegunAnew) {
  const std::string digest = digestOf("image");
  bool breaks = true;
  LayerCache cache(
      root_, store_,
      [&](const std::string&, const BlobSink& sink) {
        sink("ima");
        if (breaks) throw std::runtime_error("connection lost");
        sink("ge");
      },
      launcher_);
  ASSERT_FALSE(cache.ensure({digest}).ok());
  EXPECT_FALSE(fs::exists(cache.path(digest)));
  breaks = false;
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
}

TEST_F(Layers, AFinishedImageIsGivenAway) {
  const std::string digest = digestOf("image");
  write("slug", "image");
  LayerCache cache(root_, store_, serving("never"), launcher_);
  ASSERT_TRUE(cache.take(root_ + "/slug", digest).ok());
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
  EXPECT_EQ(own(), 0U);
  ASSERT_TRUE(cache.ensure({digest}).ok());
  write("slug", "image");
  ASSERT_TRUE(cache.take(root_ + "/slug", digest).ok()) << "the same bytes once more";
  EXPECT_EQ(own(), 0U);
  EXPECT_EQ(launcher_.mounted.size(), 1U);
  EXPECT_EQ(fetched_, 0);
}

TEST_F(Layers, NoDigestNoPath) {
  LayerCache cache(root_, store_, serving("x"), launcher_);
  for (const std::string bad : {"", "..", "../../etc/passwd", "ABCDEF", "zz"}) {
    const auto done = cache.ensure({bad});
    ASSERT_FALSE(done.ok()) << bad;
    EXPECT_EQ(done.error().code, EINVAL);
  }
  EXPECT_EQ(fetched_, 0);
}

TEST_F(Layers, AFileThatTheLauncherFindsDamagedIsFetchedAgain) {
  const std::string digest = digestOf("image");
  write(digest, "rotten");
  LayerCache cache(root_, store_, serving("image"), launcher_);
  launcher_.mountError = EBADMSG;
  ASSERT_FALSE(cache.ensure({digest}).ok());
  launcher_.mountError = 0;
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
}

TEST_F(Layers, CollectsOnlyWhatStayedUnnamedForAWhile) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, store_, serving("image"), launcher_);
  ASSERT_TRUE(cache.ensure({digest}).ok());
  const auto start = LayerCache::Clock::now();
  EXPECT_TRUE(cache.collect({}, start).empty());
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed / 2).empty());
  EXPECT_TRUE(cache.collect({digest}, start + LayerCache::kKeepUnnamed * 2).empty())
      << "named again: the clock restarts";
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 3).empty());
  cache.pin(digest);
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 5 / 2).empty());
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 7 / 2).empty()) << "pinned";
  cache.unpin(digest);
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 3).empty());
  launcher_.releaseError = EBUSY;
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 4).empty()) << "in use: kept";
  EXPECT_TRUE(fs::exists(cache.path(digest)));
  launcher_.releaseError = 0;
  EXPECT_EQ(cache.collect({}, start + LayerCache::kKeepUnnamed * 5), (std::vector<std::string>{digest}));
  EXPECT_FALSE(fs::exists(cache.path(digest)));
}

}  // namespace
}  // namespace cloister::node
