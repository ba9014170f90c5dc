#include "controlplane/builds/manifest.h"

#include <gtest/gtest.h>

namespace cloister::builds {
namespace {

TEST(Manifest, ReadsAllItsKeys) {
  const auto manifest = parseManifest(R"(
base = "debian-12"
immutable = true
writable = ["/app/uploads", "/var/lib/my db"]
[build]
commands = ["apt-get update", "apt-get install -y nginx"]
[processes]
web = "nginx -g 'daemon off;'"
worker = "sleep 1"
[http]
health = "/healthz"
settle = "1500ms"
[limits]
memory = "256M"
disk = 1048576
cpu = 0.5
pids = 64
)");
  EXPECT_EQ(manifest.buildCommands, (std::vector<std::string>{"apt-get update", "apt-get install -y nginx"}));
  EXPECT_EQ(manifest.processes.at("web"), "nginx -g 'daemon off;'");
  EXPECT_EQ(manifest.processes.size(), 2U);
  EXPECT_EQ(manifest.healthPath, "/healthz");
  EXPECT_EQ(manifest.settleMillis, 1500);
  EXPECT_EQ(manifest.memoryBytes, 256ULL << 20U);
  EXPECT_EQ(manifest.diskBytes, 1ULL << 20U);
  EXPECT_EQ(manifest.cpuMillis, 500U);
  EXPECT_EQ(manifest.pids, 64U);
  EXPECT_TRUE(manifest.immutable);
  EXPECT_EQ(manifest.writable, (std::vector<std::string>{"/app/uploads", "/var/lib/my db"}));
}

TEST(Manifest, RefusesWhatIsWrongAndNamesTheField) {
  struct Case {
    const char* text;
    const char* field;
  };
  const std::string web = "[processes]\nweb = \"x\"\n";
  for (const auto& [text, field] : {
           Case{"", "processes"},
           Case{"[processes]\n", "processes"},
           Case{"base = ", "cloister.toml"},
           Case{"base = \"\xff\"", "cloister.toml"},
           Case{"bass = \"debian-12\"", "bass"},
           Case{"base = 12", "base"},
           Case{"base = \"debian-11\"", "base"},
           Case{"base = \"../../etc\"", "base"},
           Case{"build = \"make\"", "build"},
           Case{"[build]\ncommand = []", "build.command"},
           Case{"[build]\ncommands = \"make\"", "build.commands"},
           Case{"[build]\ncommands = [\"make\", 1]", "build.commands[1]"},
           Case{"[build]\ncommands = [\"  \"]", "build.commands[0]"},
           Case{"[build]\ncommands = [\"a\\u0000b\"]", "build.commands[0]"},
           Case{"[processes]\nWeb = \"x\"", "processes.Web"},
           Case{"[processes]\n\"a/b\" = \"x\"", "processes.a/b"},
           Case{"[processes]\nrun = \"x\"", "processes.run"},
           Case{"[processes]\nweb = 1", "processes.web"},
           Case{"[processes]\nweb = \"\"", "processes.web"},
           Case{"[http]\nhealth = \"healthz\"", "http.health"},
           Case{"[http]\nhealth = \"/a b\"", "http.health"},
           Case{"[http]\nhealth = \"/a\\r\\nX: y\"", "http.health"},
           Case{"[http]\nport = 1", "http.port"},
           Case{"[http]\nsettle = 10", "http.settle"},
           Case{"[http]\nsettle = \"10\"", "http.settle"},
           Case{"[http]\nsettle = \"-1s\"", "http.settle"},
           Case{"[http]\nsettle = \"6m\"", "http.settle"},
           Case{"[http]\nsettle = \"99999999999999999999s\"", "http.settle"},
           Case{"[limits]\nmemory = \"lots\"", "limits.memory"},
           Case{"[limits]\nmemory = \"1M\"", "limits.memory"},
           Case{"[limits]\nmemory = -5", "limits.memory"},
           Case{"[limits]\nmemory = \"99999999999999999999G\"", "limits.memory"},
           Case{"[limits]\nmemory = \"18446744073709551615G\"", "limits.memory"},
           Case{"[limits]\ncpu = 0", "limits.cpu"},
           Case{"[limits]\ncpu = nan", "limits.cpu"},
           Case{"[limits]\ncpu = \"one\"", "limits.cpu"},
           Case{"[limits]\npids = 1", "limits.pids"},
           Case{"[limits]\nnetwork = 1", "limits.network"},
           Case{"immutable = \"yes\"", "immutable"},
           Case{"writable = [\"/app\"]", "writable"},
           Case{"immutable = true\nwritable = \"/app\"", "writable"},
           Case{"immutable = true\nwritable = [1]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"/app\", \"uploads\"]", "writable[1]"},
           Case{"immutable = true\nwritable = [\"/\"]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"/app/\"]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"/app/../etc\"]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"/app/..\"]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"//app\"]", "writable[0]"},
           Case{"immutable = true\nwritable = [\"/a\\nb\"]", "writable[0]"},
       }) {
    try {
      (void)parseManifest(text);
      ADD_FAILURE() << "accepted " << text;
    } catch (const ManifestError& error) {
      EXPECT_EQ(error.field(), field) << text << " -> " << error.what();
      EXPECT_FALSE(error.detail().empty());
    }
  }
  std::string many = web;
  for (int i = 0; i < 20; ++i) many += "p" + std::to_string(i) + " = \"x\"\n";
  EXPECT_THROW((void)parseManifest(many), ManifestError);
  EXPECT_THROW((void)parseManifest(web + "# " + std::string(70'000, 'x')), ManifestError);
  EXPECT_THROW((void)parseManifest(web + "[build]\ncommands = [\"" + std::string(9'000, 'x') + "\"]"), ManifestError);
  std::string deep = "base = ";
  for (int i = 0; i < 30'000; ++i) deep += "[";
  EXPECT_THROW((void)parseManifest(deep), ManifestError);
}

TEST(Manifest, NamesAFieldAsItStandsInTheFile) {
  try {
    (void)parseManifest("[limits]\nmemory = \"1M\"\n");
    ADD_FAILURE();
  } catch (const ManifestError& error) {
    EXPECT_EQ(error.field(), "limits.memory");
    EXPECT_STREQ(error.what(), "[limits] memory: must be 16M at least");
  }
}

TEST(Manifest, IsUtf8WithOrWithoutItsMark) {
  EXPECT_EQ(parseProcfile("\xEF\xBB\xBFweb: caf\xC3\xA9\r\n").processes.at("web"), "caf\xC3\xA9");
  EXPECT_EQ(parseManifest("\xEF\xBB\xBF[processes]\r\nweb = \"a\"\r\n").processes.at("web"), "a");
  struct Case {
    std::string bytes;
    const char* says;
  };
  for (const auto& [bytes, says] : {
           Case{"web: a\nother: caf\xE9\n", "line 2 is not UTF-8"},
           Case{"web: \xC3", "line 1 is not UTF-8"},
           Case{std::string("\xFF\xFEw\0e\0b\0:\0 \0a\0", 14), "is UTF-16"},
       }) {
    for (const auto& parse : {&parseProcfile, &parseManifest}) {
      try {
        (void)parse(bytes);
        ADD_FAILURE() << bytes;
      } catch (const ManifestError& error) {
        EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      }
    }
  }
  try {
    (void)parseProcfile(std::string(5000, 'n') + ": a");
    ADD_FAILURE() << "a name of 5000 bytes";
  } catch (const ManifestError& error) {
    EXPECT_LT(error.field().size(), 120U);
  }
}

TEST(Manifest, ReadsAProcfile) {
  const auto manifest = parseProcfile("# comment\nweb: python3 -m http.server $PORT\r\n\nworker:  a: b \n");
  EXPECT_EQ(manifest.processes.at("web"), "python3 -m http.server $PORT");
  EXPECT_EQ(manifest.processes.at("worker"), "a: b");
  EXPECT_TRUE(manifest.buildCommands.empty());
  for (const char* text : {"", "\n\n", "web", "web:", ": x", "Web: x", "web: a\nweb: b", "../x: y"}) {
    EXPECT_THROW((void)parseProcfile(text), ManifestError) << text;
  }
}

TEST(Manifest, ChoosesBetweenTheTwo) {
  EXPECT_EQ(manifestOf({}, "web: a").processes.at("web"), "a");
  EXPECT_EQ(manifestOf("[processes]\nweb = \"b\"", "web: a").processes.at("web"), "b");
  const auto both = manifestOf("[build]\ncommands = [\"make\"]", "web: a");
  EXPECT_EQ(both.processes.at("web"), "a");
  EXPECT_EQ(both.buildCommands.size(), 1U);
  EXPECT_THROW((void)manifestOf({}, {}), ManifestError);
  EXPECT_THROW((void)manifestOf("[build]\ncommands = []", {}), ManifestError);
}

TEST(Manifest, ReadsSizes) {
  EXPECT_EQ(parseSize("65536", "f"), 65536U);
  EXPECT_EQ(parseSize("64K", "f"), 65536U);
  EXPECT_EQ(parseSize("512MiB", "f"), 512ULL << 20U);
  EXPECT_EQ(parseSize("2G", "f"), 2ULL << 30U);
  for (const char* text : {"", "M", "-1M", "1.5G", "1 G", "0", "0G", "1g", "1GB", "0x10", "+5", "9999T"}) {
    EXPECT_THROW((void)parseSize(text, "f"), ManifestError) << text;
  }
}

}  // namespace
}  // namespace cloister::builds
