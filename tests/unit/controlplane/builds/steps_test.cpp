#include "controlplane/builds/steps.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "controlplane/builds/manifest.h"
#include "controlplane/builds/package_command.h"
#include "controlplane/store/store.h"

namespace cloister::builds {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

TEST(PackageCommand, IsOneThatCannotReadTheSource) {
  for (const char* command : {
           "apt-get update",
           "apt-get install -y --no-install-recommends nodejs npm",
           "apt-get -qq update && apt-get -y install libssl-dev=3.0.11-1~deb12u2 g++ libc6:amd64 python3/stable",
           "DEBIAN_FRONTEND=noninteractive apt-get install -y tzdata; apt-get clean",
           "apt update && apt install -y nginx && rm -rf /var/lib/apt/lists/*",
           "  apt-get   update  ",
       }) {
    EXPECT_TRUE(onlyInstallsPackages(command)) << command;
  }
  for (const char* command : {
           "",
           "apt-get",
           "make",
           "npm ci",
           "apt-get install -y ./local.deb",
           "apt-get install -y local.deb",
           "apt-get install -y /app/local",
           "apt-get install -y $(cat packages.txt)",
           "apt-get install -y `cat packages.txt`",
           "apt-get install -y $PACKAGES",
           "apt-get install -y 'nginx'",
           "apt-get install -y nginx < answers",
           "apt-get install -y nginx > log",
           "apt-get install -y nginx | tee log",
           "apt-get install -y nginx & make",
           "apt-get install -y nginx || make",
           "apt-get install -y nginx && make",
           "apt-get install -y nginx\nmake",
           "apt-get -o Dir::Etc=/app update",
           "apt-get -c apt.conf update",
           "apt-get update # later",
           "apt-get install -y lib*",
           "apt-get build-dep .",
           "apt-get source nginx",
           "rm -rf /var/lib/apt/lists/* node_modules",
           "cd x && apt-get update",
           "PATH=. apt-get update",
           "apt-get update &&",
           "&& apt-get update",
       }) {
    EXPECT_FALSE(onlyInstallsPackages(command)) << command;
  }
}

class Steps : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = (fs::temp_directory_path() / store::newId("cloister-steps")).string(); }
  void TearDown() override {
    fs::remove_all(directory_);
    fs::remove(directory_ + ".tar.gz");
  }
  [[nodiscard]] std::string pack(const Files& files) {
    const auto path = directory_ + ".tar.gz";
    archive* writer = archive_write_new();
    archive_write_set_format_pax_restricted(writer);
    archive_write_add_filter_gzip(writer);
    EXPECT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
    for (const auto& [name, text] : files) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, ("./" + name).c_str());
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      archive_entry_set_mtime(entry, ++moment_, 0);
      archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
      archive_write_header(writer, entry);
      archive_write_data(writer, text.data(), text.size());
      archive_entry_free(entry);
    }
    archive_write_close(writer);
    archive_write_free(writer);
    return path;
  }
  [[nodiscard]] static Files unpack(const std::string& path) {
    Files files;
    archive* reader = archive_read_new();
    archive_read_support_format_tar(reader);
    archive_read_support_filter_gzip(reader);
    EXPECT_EQ(archive_read_open_filename(reader, path.c_str(), 10240), ARCHIVE_OK);
    archive_entry* entry = nullptr;
    while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
      std::string text(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
      archive_read_data(reader, text.data(), text.size());
      files[archive_entry_pathname(entry)] = text;
    }
    archive_read_free(reader);
    return files;
  }
  [[nodiscard]] std::vector<model::BuildStep> plan(const std::string& commands, const Files& files) {
    BlobStore blobs(directory_);
    std::vector<Blob> parts;
    return planSteps(parseManifest("[build]\ncommands = [" + commands + "]\n[processes]\nweb = \"x\"\n"), pack(files),
                     blobs, parts);
  }
  [[nodiscard]] Files filesOf(const model::BuildStep& step) {
    return step.sourceDigest.empty() ? Files() : unpack(directory_ + "/" + step.sourceDigest);
  }
  std::string directory_;
  time_t moment_ = 1'000'000'000;
  const Files source_ = {{"package.json", "{}"},     {"package-lock.json", "lock"}, {"server.js", "one"},
                         {"web/package.json", "{}"}, {"web/index.html", "hello"},   {"vendor/a/b.tgz", "b"}};
  const std::string node_ =
      "\"apt-get update\", \"apt-get install -y npm\", {run = \"npm ci\", files = [\"package*.json\"]}, \"make\"";
};

TEST_F(Steps, ACommandHasTheFilesThatItNamesAndNoOthers) {
  const auto steps = plan(node_, source_);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].commands, 2U);
  EXPECT_EQ(steps[0].sourceDigest, "");
  EXPECT_EQ(steps[1].commands, 1U);
  EXPECT_EQ(filesOf(steps[1]), (Files{{"package.json", "{}"}, {"package-lock.json", "lock"}}));
}

TEST_F(Steps, OnlyWhatTheyNameMakesThemOthers) {
  const auto before = plan(node_, source_);
  auto changed = source_;
  changed["server.js"] = "two";
  changed["more.js"] = "three";
  const auto after = plan(node_, changed);
  ASSERT_EQ(after.size(), 2U);
  EXPECT_EQ(after[0].treeDigest, before[0].treeDigest);
  EXPECT_EQ(after[1].treeDigest, before[1].treeDigest);
  EXPECT_EQ(after[1].sourceDigest, before[1].sourceDigest) << "the same bytes, whatever the times";
  changed["package-lock.json"] = "other";
  EXPECT_NE(plan(node_, changed)[1].treeDigest, before[1].treeDigest);
  changed = source_;
  changed["package-extra.json"] = "";
  EXPECT_NE(plan(node_, changed)[1].treeDigest, before[1].treeDigest) << "a new file that a pattern matches";
}

TEST_F(Steps, DirectoriesBringAllBelowThemAndEachFileComesOnce) {
  const auto steps = plan(
      "{run = \"a\", files = [\"vendor/\"]}, {run = \"b\", files = [\"./vendor\", \"*/package.json\"]}, {run = \"c\", "
      "files = []}",
      source_);
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(filesOf(steps[0]), (Files{{"vendor/a/b.tgz", "b"}}));
  EXPECT_EQ(filesOf(steps[1]), (Files{{"web/package.json", "{}"}}));
  EXPECT_EQ(steps[1].commands, 2U);
}

TEST_F(Steps, TheFirstCommandThatSaysNothingEndsThem) {
  EXPECT_TRUE(plan("\"make\", \"apt-get update\"", source_).empty());
  EXPECT_EQ(plan("\"apt-get update\", \"make\", {run = \"npm ci\", files = [\"package.json\"]}", source_).size(), 1U);
}

TEST_F(Steps, RefusesFilesThatAreNotThere) {
  for (const auto& [commands, field] : std::map<std::string, std::string>{
           {"{run = \"a\", files = [\"absent.json\"]}", "build.commands[0].files"},
           {"{run = \"a\", files = [\"../x\"]}", "build.commands[0].files"},
           {"{run = \"a\", files = [\"/etc/passwd\"]}", "build.commands[0].files"},
           {"{run = \"a\", files = [\"\"]}", "build.commands[0].files"},
           {"{run = \"a\", files = \"x\"}", "build.commands[0].files"},
           {"{files = [\"package.json\"]}", "build.commands[0].run"},
           {"{run = \"a\", file = []}", "build.commands[0].file"},
       }) {
    try {
      (void)plan(commands, source_);
      ADD_FAILURE() << commands;
    } catch (const ManifestError& error) {
      EXPECT_EQ(error.field(), field) << commands;
    }
  }
  EXPECT_EQ(plan("{run = \"a\", files = [\"absent*\"]}", source_).size(), 1U) << "a pattern may match nothing";
}

}  // namespace
}  // namespace cloister::builds
