#include "controlplane/builds/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <vector>

#include "controlplane/store/store.h"

namespace cloister::builds {
namespace {

namespace fs = std::filesystem;

struct Entry {
  std::string name;
  unsigned type = AE_IFREG;
  std::string target;  // of a link
  std::string data;
  bool hard = false;
  unsigned mode = 0644;
};

class Archive : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / store::newId("cloister-archive");
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  enum class Packing { gzip, plain };
  std::string make(const std::vector<Entry>& entries, Packing packing = Packing::gzip) const {
    const auto path = (directory_ / "source.tar.gz").string();
    archive* writer = archive_write_new();
    archive_write_set_format_gnutar(writer);  // names are bytes in it
    if (packing == Packing::gzip) archive_write_add_filter_gzip(writer);
    EXPECT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
    for (const auto& item : entries) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, item.name.c_str());
      archive_entry_set_filetype(entry, item.type);
      archive_entry_set_perm(entry, item.mode);
      archive_entry_set_mtime(entry, ++moment_, 0);
      archive_entry_set_size(entry, static_cast<la_int64_t>(item.data.size()));
      if (item.hard) {
        archive_entry_set_hardlink(entry, item.target.c_str());
      } else if (!item.target.empty()) {
        archive_entry_set_symlink(entry, item.target.c_str());
      }
      EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK) << archive_error_string(writer);
      if (!item.data.empty()) archive_write_data(writer, item.data.data(), item.data.size());
      archive_entry_free(entry);
    }
    archive_write_close(writer);
    archive_write_free(writer);
    return path;
  }
  std::string refusal(const std::string& path, const ArchiveLimits& limits = {}) const {
    try {
      (void)inspectArchive(path, limits);
    } catch (const ArchiveError& error) {
      EXPECT_NE(std::string(error.what()), "");
      return error.code();
    }
    return "";
  }
  fs::path directory_;
  mutable time_t moment_ = 1'000'000'000;  // each entry's time is another
};

TEST_F(Archive, FindsTheManifestAtTheRootOnly) {
  const std::vector<Entry> entries = {{"./", AE_IFDIR, "", "", false},
                                      {"./cloister.toml", AE_IFREG, "", "base = \"debian-12\"", false},
                                      {"sub/Procfile", AE_IFREG, "", "web: no", false},
                                      {"sub/link", AE_IFLNK, "../cloister.toml", "", false},
                                      {"lib", AE_IFLNK, "node_modules/lib", "", false},
                                      {"hard", AE_IFREG, "sub/Procfile", "", true}};
  for (const auto packing : {Packing::gzip, Packing::plain}) {
    const auto contents = inspectArchive(make(entries, packing));
    EXPECT_EQ(contents.manifest, "base = \"debian-12\"");
    EXPECT_FALSE(contents.procfile);
    EXPECT_EQ(contents.entries, 6U);
  }
}

TEST_F(Archive, RefusesHostileEntries) {
  struct Case {
    Entry entry;
    const char* code;
  };
  for (const auto& [entry, code] : {
           Case{{"../evil", AE_IFREG, "", "x", false}, "archive_unsafe_path"},
           Case{{"a/../../evil", AE_IFREG, "", "x", false}, "archive_unsafe_path"},
           Case{{"a/..", AE_IFDIR, "", "", false}, "archive_unsafe_path"},
           Case{{"/etc/passwd", AE_IFREG, "", "x", false}, "archive_unsafe_path"},
           Case{{"//etc/passwd", AE_IFREG, "", "x", false}, "archive_unsafe_path"},
           Case{{"dev", AE_IFCHR, "", "", false}, "archive_bad_entry"},
           Case{{"dev", AE_IFBLK, "", "", false}, "archive_bad_entry"},
           Case{{"fifo", AE_IFIFO, "", "", false}, "archive_bad_entry"},
           Case{{"link", AE_IFLNK, "/etc/passwd", "", false}, "archive_unsafe_link"},
           Case{{"link", AE_IFLNK, "..", "", false}, "archive_unsafe_link"},
           Case{{"a/link", AE_IFLNK, "../../x", "", false}, "archive_unsafe_link"},
           Case{{"a/b/link", AE_IFLNK, "c/../../../../x", "", false}, "archive_unsafe_link"},
           Case{{"hard", AE_IFREG, "../x", "", true}, "archive_unsafe_link"},
           Case{{"hard", AE_IFREG, "/etc/shadow", "", true}, "archive_unsafe_link"},
           Case{{"cloister.toml", AE_IFLNK, "other.toml", "", false}, "archive_bad_entry"},
           Case{{"cloister.toml", AE_IFREG, "", std::string(70'000, 'x'), false}, "archive_bad_entry"},
           Case{{std::string(300, 'n'), AE_IFREG, "", "x", false}, "archive_bad_entry"},
       }) {
    EXPECT_EQ(refusal(make({entry})), code) << entry.name << " " << entry.target;
  }
}

TEST_F(Archive, OneDigestForOneTreeHoweverItWasPacked) {
  const Entry directory{"./a/", AE_IFDIR, "", "", false, 0755};
  const Entry run{"a/run", AE_IFREG, "", "echo", false, 0755};
  const Entry link{"a/link", AE_IFLNK, "run", "", false};
  const Entry hard{"hard", AE_IFREG, "a/run", "", true, 0755};
  const auto of = [&](const std::vector<Entry>& entries, Packing packing = Packing::gzip) {
    return inspectArchive(make(entries, packing)).treeDigest;
  };
  const auto tree = of({directory, run, link, hard});
  ASSERT_EQ(tree.size(), 64U);
  EXPECT_EQ(of({directory, run, link, hard}), tree) << "other times";
  EXPECT_EQ(of({directory, run, link, hard}, Packing::plain), tree);
  EXPECT_EQ(of({directory, directory, link, run, hard}), tree) << "another order, and a directory twice";

  auto changed = run;
  changed.data = "Echo";
  EXPECT_NE(of({directory, changed, link, hard}), tree);
  changed = run;
  changed.mode = 0644;
  EXPECT_NE(of({directory, changed, link, hard}), tree);
  changed = run;
  changed.name = "a/runs";
  EXPECT_NE(of({directory, changed, link, hard}), tree);
  changed = link;
  changed.target = "../hard";
  EXPECT_NE(of({directory, run, changed, hard}), tree);
  EXPECT_NE(of({directory, run, link}), tree);
  EXPECT_NE(of({directory, run, link, {"hard", AE_IFREG, "", "echo", false, 0755}}), tree);
}

TEST_F(Archive, ThePathThatComesTwiceIsTheLastOne) {
  const Entry one{"file", AE_IFREG, "", "one", false};
  const Entry two{"file", AE_IFREG, "", "two", false};
  const auto onTop = inspectArchive(make({one, two})).treeDigest;
  EXPECT_NE(onTop, inspectArchive(make({two, one})).treeDigest);
  EXPECT_NE(onTop, inspectArchive(make({one})).treeDigest);
}

// Every link for itself stays inside; together they would climb.
TEST_F(Archive, RefusesChainsOfLinks) {
  EXPECT_EQ(refusal(make({{"a/b/up", AE_IFLNK, "../..", "", false}, {"x", AE_IFLNK, "a/b/up/../etc", "", false}})),
            "archive_unsafe_link");
  EXPECT_EQ(refusal(make({{"a/b/up", AE_IFLNK, "../..", "", false}, {"a/b/up/l", AE_IFLNK, "../../../x", "", false}})),
            "archive_unsafe_path");
  EXPECT_EQ(refusal(make({{"d", AE_IFLNK, "sub", "", false}, {"d/file", AE_IFREG, "", "x", false}})),
            "archive_unsafe_path");
  EXPECT_EQ(refusal(make({{"d", AE_IFLNK, "sub", "", false}, {"h", AE_IFREG, "d/file", "", true}})),
            "archive_unsafe_path");
}

// A link is judged by where it leads, not by how its target is spelt; what it names need not be there.
TEST_F(Archive, TakesLinksThatStayInside) {
  EXPECT_EQ(refusal(make({{"tools/real/cli.js", AE_IFREG, "", "x", false},
                          {"dotted", AE_IFLNK, "./tools/../tools/real", "", false},
                          {"packages/cli", AE_IFLNK, "../packages/../tools/real/cli.js", "", false},
                          {"a/b/up", AE_IFLNK, "../../tools", "", false},
                          {"through", AE_IFLNK, "a/b/up/../a", "", false},
                          {"dangling", AE_IFLNK, "nowhere/at/../all", "", false},
                          {"self", AE_IFLNK, ".", "", false},
                          {"round", AE_IFLNK, "round", "", false},
                          {"there", AE_IFLNK, "back", "", false},
                          {"back", AE_IFLNK, "there/..", "", false},
                          {"..dots", AE_IFLNK, "...", "", false}})),
            "");
}

TEST_F(Archive, RefusesLinksThatLeadOutWhateverTheOrder) {
  const Entry up{"a/b/up", AE_IFLNK, "../..", "", false};
  const Entry out{"x", AE_IFLNK, "a/b/up/../etc", "", false};
  EXPECT_EQ(refusal(make({out, up})), "archive_unsafe_link");
  EXPECT_EQ(refusal(make({{"s/k/f", AE_IFREG, "", "x", false},
                          {"e", AE_IFLNK, "s/k", "", false},
                          {"q", AE_IFLNK, "e/../../outside", "", false}})),
            "archive_unsafe_link")
      << "inside as the kernel goes, outside as the text reads";
  EXPECT_EQ(refusal(make({{"a/b/l", AE_IFLNK, "../../x", "", false}, {"h", AE_IFREG, "a/b/l", "", true}})),
            "archive_unsafe_link")
      << "a second name of a link, nearer to the top";
}

TEST_F(Archive, LinksThatMultiplyAreRefusedSoon) {
  std::vector<Entry> links;
  std::string many;
  for (int i = 0; i < 800; ++i) many += "l/../";
  links.push_back({"l", AE_IFLNK, "d/d/d/d/d/d/d/d", "", false});
  for (int i = 0; i < 1'000; ++i) links.push_back({"w" + std::to_string(i), AE_IFLNK, many, "", false});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NE(refusal(make(links)), "archive_bad_format");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST_F(Archive, ShowsForeignNamesAsText) {
  try {
    (void)inspectArchive(make({{"caf\xC3\xA9/../\x1b[2J", AE_IFREG, "", "x", false}}));
    ADD_FAILURE();
  } catch (const ArchiveError& error) {
    EXPECT_EQ(error.entry(), "caf\xC3\xA9/../\uFFFD[2J");
  }
}

TEST_F(Archive, KeepsWithinItsLimits) {
  std::vector<Entry> many;
  for (int i = 0; i < 20; ++i) many.push_back({"f" + std::to_string(i), AE_IFREG, "", "x", false});
  EXPECT_EQ(refusal(make(many), {.entries = 19}), "archive_too_many_entries");
  EXPECT_EQ(refusal(make(many), {.entries = 20}), "");
  EXPECT_EQ(refusal(make({{"big", AE_IFREG, "", std::string(1U << 20U, 'x'), false}}), {.unpackedBytes = 1U << 19U}),
            "archive_too_large");
  // The sum counts, not what it packs to.
  EXPECT_EQ(refusal(make({{"empty.db", AE_IFREG, "", std::string(64U << 20U, '\0'), false}})), "");
  EXPECT_EQ(
      refusal(make({{"bomb", AE_IFREG, "", std::string(64U << 20U, '\0'), false}}), {.unpackedBytes = 32U << 20U}),
      "archive_too_large");
}

TEST_F(Archive, RefusesWhatIsNoWholeArchive) {
  const auto path = (directory_ / "x").string();
  std::ofstream(path) << "#!/bin/sh\necho hello\n";
  EXPECT_EQ(refusal(path), "archive_bad_format");
  std::ofstream(path, std::ios::trunc) << "";
  EXPECT_NE(refusal(path), "");
  EXPECT_EQ(refusal((directory_ / "absent").string()), "archive_bad_format");
  std::string noise;
  for (unsigned i = 0; i < 300'000; ++i) noise += static_cast<char>((i * 2654435761U) >> 13U);
  const auto whole = make({{"a", AE_IFREG, "", noise, false}});
  fs::resize_file(whole, fs::file_size(whole) / 2);
  EXPECT_EQ(refusal(whole), "archive_bad_format");
  EXPECT_EQ(refusal(make({})), "archive_empty");
}

}  // namespace
}  // namespace cloister::builds
