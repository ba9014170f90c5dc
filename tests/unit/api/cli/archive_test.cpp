#include "api/cli/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "api/cli/ignore.h"
#include "tests/unit/api/cli/temporary_directory.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

struct Packed {
  unsigned type = 0;
  unsigned mode = 0;
  std::int64_t owner = -1;
  std::string content;  // or the link's target
};

std::map<std::string, Packed> unpack(std::FILE* file) {
  std::map<std::string, Packed> entries;
  archive* reader = archive_read_new();
  archive_read_support_filter_gzip(reader);
  archive_read_support_format_tar(reader);
  EXPECT_EQ(archive_read_open_FILE(reader, file), ARCHIVE_OK) << archive_error_string(reader);
  archive_entry* entry = nullptr;
  int result = ARCHIVE_OK;
  while ((result = archive_read_next_header(reader, &entry)) == ARCHIVE_OK) {
    Packed packed;
    packed.type = archive_entry_filetype(entry);
    packed.mode = archive_entry_perm(entry);
    packed.owner = archive_entry_uid(entry);
    if (packed.type == AE_IFLNK) {
      packed.content = archive_entry_symlink(entry);
    } else {
      packed.content.resize(static_cast<std::size_t>(archive_entry_size(entry)));
      EXPECT_EQ(archive_read_data(reader, packed.content.data(), packed.content.size()),
                static_cast<la_ssize_t>(packed.content.size()));
    }
    std::string name = archive_entry_pathname(entry);
    if (name.ends_with('/')) name.pop_back();
    entries.emplace(name, packed);
  }
  EXPECT_EQ(result, ARCHIVE_EOF) << archive_error_string(reader);
  archive_read_free(reader);
  std::rewind(file);
  return entries;
}

std::string bytes(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

class ArchiveTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text = "x", unsigned mode = 0644) const {
    const fs::path path = root_.path() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    fs::permissions(path, static_cast<fs::perms>(mode));
  }
  std::map<std::string, Packed> packed() const { return unpack(packDirectory(root_.path()).file.get()); }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : packed()) result.push_back(name);
    return result;
  }
  test::TemporaryDirectory root_;
};

TEST_F(ArchiveTest, KeepsContentsModesAndSymbolicLinks) {
  write("cloister.toml", "base = 'debian-12'\n");
  write("bin/start", "#!/bin/sh\n", 0755);
  write("secret", "s", 0600);
  write("setuid", "s", 04755);
  fs::create_symlink("bin/start", root_.path() / "start");
  fs::create_symlink("/etc/passwd", root_.path() / "outside");

  auto entries = packed();
  EXPECT_EQ(entries.at("cloister.toml").content, "base = 'debian-12'\n");
  EXPECT_EQ(entries.at("bin").type, AE_IFDIR);
  EXPECT_EQ(entries.at("bin/start").mode, 0755U);
  EXPECT_EQ(entries.at("secret").mode, 0600U);
  EXPECT_EQ(entries.at("setuid").mode, 0755U) << "set-id bits stay at home";
  EXPECT_EQ(entries.at("start").type, AE_IFLNK);
  EXPECT_EQ(entries.at("start").content, "bin/start");
  EXPECT_EQ(entries.at("outside").content, "/etc/passwd") << "a link is packed, never followed; the server judges it";
  for (const auto& [name, entry] : entries) EXPECT_EQ(entry.owner, 0) << name;
}

TEST_F(ArchiveTest, SkipsWhatIsNotAFileAndSaysHowMany) {
  write("a");
  ASSERT_EQ(mkfifo((root_.path() / "pipe").c_str(), 0600), 0);
  const Archive archive = packDirectory(root_.path());
  EXPECT_EQ(archive.skipped, 1U);
  EXPECT_EQ(archive.entries, 1U);
}

TEST_F(ArchiveTest, LeavesOutNodeModulesUntilTheyAreTakenBackAndGitAlways) {
  write("index.js");
  write(".git/config");
  write("sub/.git", "gitdir: elsewhere");
  write("node_modules/x/index.js");
  write("web/node_modules/y.js");
  EXPECT_EQ(names(), (std::vector<std::string>{"index.js", "sub", "web"}));
  EXPECT_TRUE(packDirectory(root_.path()).modulesLeftOut);
  write(".cloisterignore", "!/node_modules/\n!.git\n");
  EXPECT_EQ(names(), (std::vector<std::string>{".cloisterignore", "index.js", "node_modules", "node_modules/x",
                                               "node_modules/x/index.js", "sub", "web"}));
  EXPECT_TRUE(packDirectory(root_.path()).modulesLeftOut) << "that of web";
  write(".cloisterignore", "!node_modules/\n!node_modules/**\n");
  EXPECT_FALSE(packDirectory(root_.path()).modulesLeftOut);
  EXPECT_EQ(names().size(), 9U) << "web/node_modules and its y.js too";
}

TEST_F(ArchiveTest, AnIgnoreFileMayHaveAByteOrderMarkButNotBeUtf16) {
  write(".env");
  write("x.log");
  write(".gitignore", "\xEF\xBB\xBF.env\r\n*.log\r\n");
  EXPECT_EQ(names(), (std::vector<std::string>{".gitignore"}));
  for (const auto& utf16 : {std::string("\xFF\xFE.\0e\0n\0v\0", 10), std::string("\xFE\xFF\0.\0e\0n\0v", 10),
                            std::string(".\0e\0n\0v\0", 8)}) {
    write(".gitignore", utf16);
    EXPECT_THROW(static_cast<void>(packDirectory(root_.path())), std::runtime_error) << "or .env would go out";
  }
}

TEST_F(ArchiveTest, ALinkedDirectoryIsPackedAndNamedAsItIsTyped) {
  write("real/Procfile");
  write("real/empty/x");
  fs::remove(root_.path() / "real/empty/x");
  const auto link = root_.path() / "shop";
  fs::create_directory_symlink(root_.path() / "real", link);
  const auto entries = unpack(packDirectory(link).file.get());
  EXPECT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries.at("empty").type, AE_IFDIR);
  EXPECT_EQ(appNameFor(link), "shop");
}

TEST_F(ArchiveTest, HonoursBothIgnoreFilesTheSecondLast) {
  write(".gitignore", "*.log\nbuild/\n/top\ndist\n");
  write(".cloisterignore", "!dist\ndocs\n");
  write("a.log");
  write("deep/b.log");
  write("build/out.o");
  write("deep/build", "a file, not a directory");
  write("top");
  write("deep/top");
  write("dist/app.js");
  write("docs/x");
  EXPECT_EQ(names(), (std::vector<std::string>{".cloisterignore", ".gitignore", "deep", "deep/build", "deep/top",
                                               "dist", "dist/app.js"}));
}

TEST_F(ArchiveTest, AnIgnoreFileInADirectoryCountsBelowItOnly) {
  write("a/.gitignore", "*.tmp\n/only\n");
  write("a/x.tmp");
  write("a/only");
  write("a/b/only");
  write("x.tmp");
  EXPECT_EQ(names(), (std::vector<std::string>{"a", "a/.gitignore", "a/b", "a/b/only", "x.tmp"}));
}

TEST_F(ArchiveTest, TheSameTreeGivesTheSameBytes) {
  write("b");
  write("a/c", "text");
  EXPECT_EQ(bytes(packDirectory(root_.path()).file.get()), bytes(packDirectory(root_.path()).file.get()));
}

TEST_F(ArchiveTest, CarriesLongAndForeignNames) {
  const std::string longName(200, 'n');
  write("d/" + longName + "/" + longName);
  write("caf\xC3\xA9");
  write("latin-\xE9");
  const auto all = names();
  EXPECT_TRUE(std::find(all.begin(), all.end(), "d/" + longName + "/" + longName) != all.end());
  EXPECT_TRUE(std::find(all.begin(), all.end(), "caf\xC3\xA9") != all.end());
  EXPECT_TRUE(std::find(all.begin(), all.end(), "latin-\xE9") != all.end()) << "names are bytes";
}

TEST_F(ArchiveTest, RefusesWhatIsNoDirectory) {
  write("file");
  EXPECT_THROW(static_cast<void>(packDirectory(root_.path() / "file")), std::runtime_error);
  EXPECT_THROW(static_cast<void>(packDirectory(root_.path() / "absent")), std::runtime_error);
}

TEST(IgnoreRules, MatchLikeGit) {
  struct Case {
    const char* patterns;
    const char* path;
    EntryKind kind;
    bool ignored;
  };
  for (const Case& c : {Case{"*.o", "a/b.o", EntryKind::file, true},
                        Case{"*.o", "a.oo", EntryKind::file, false},
                        Case{"/a.o", "b/a.o", EntryKind::file, false},
                        Case{"/a.o", "a.o", EntryKind::file, true},
                        Case{"a/*.o", "a/x.o", EntryKind::file, true},
                        Case{"a/*.o", "a/b/x.o", EntryKind::file, false},
                        Case{"a/**/x", "a/x", EntryKind::file, true},
                        Case{"a/**/x", "a/b/c/x", EntryKind::file, true},
                        Case{"**/x", "q/x", EntryKind::file, true},
                        Case{"a/**", "a/b/c", EntryKind::file, true},
                        Case{"a/**", "a", EntryKind::directory, false},
                        Case{"a/**", "b", EntryKind::file, false},
                        Case{"**/**/a/**/**/b", "x/a/y/b", EntryKind::file, true},
                        Case{"**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b",
                             "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/c", EntryKind::file, false},
                        Case{"dir/", "dir", EntryKind::file, false},
                        Case{"dir/", "x/dir", EntryKind::directory, true},
                        Case{"*\n!keep", "keep", EntryKind::file, false},
                        Case{"!keep\n*", "keep", EntryKind::file, true},
                        Case{"# x", "# x", EntryKind::file, false},
                        Case{"\\#x", "#x", EntryKind::file, true},
                        Case{"x  \r", "x", EntryKind::file, true},
                        Case{"[ab].c", "b.c", EntryKind::file, true},
                        Case{"?.c", "ab.c", EntryKind::file, false},
                        Case{"", "a", EntryKind::file, false},
                        Case{"/", "a", EntryKind::directory, false}}) {
    IgnoreRules rules;
    rules.add(c.patterns);
    EXPECT_EQ(rules.ignored(c.path, c.kind), c.ignored) << '"' << c.patterns << "\" on " << c.path;
  }
}

TEST(AppName, IsADnsLabelOfTheDirectorysName) {
  struct Case {
    const char* directory;
    const char* name;
  };
  for (const Case& c : {Case{"/srv/shop", "shop"}, Case{"/srv/My Shop_2", "my-shop-2"}, Case{"/srv/shop/", "shop"},
                        Case{"/srv/--x--", "x"}, Case{"/srv/a..b", "a-b"}, Case{"/srv/\xC3\xA9", ""}, Case{"/", ""},
                        Case{"/srv/x/../y", "y"}}) {
    EXPECT_EQ(appNameFor(c.directory), c.name) << c.directory;
  }
  const std::string longName = appNameFor("/srv/" + std::string(62, 'a') + "-b");
  EXPECT_EQ(longName, std::string(62, 'a')) << "cut at 63, and no dash at the end";
}

}  // namespace
}  // namespace cloister::cli
