// The rules of the house, read off the tree: who may include whom, where raw system calls may stand, how long a file
// may be.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cloister::rules {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLines = 400;

struct Source {
  std::string path;  // relative to the root of the tree
  std::vector<std::string> lines;
};

const std::vector<Source>& sources() {
  static const std::vector<Source> all = [] {
    std::vector<Source> found;
    const fs::path root = CLOISTER_SOURCE_DIR;
    for (const auto* room : {"sandbox", "policy", "metering", "controlplane", "api", "tests"}) {
      if (!fs::exists(root / room)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
        const auto extension = entry.path().extension();
        if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp" && extension != ".c")) continue;
        Source source{fs::relative(entry.path(), root).string(), {}};
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) source.lines.push_back(line);
        found.push_back(std::move(source));
      }
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return found;
  }();
  return all;
}

// A folder and what its files may include besides itself. The first entry that fits a path decides.
struct Room {
  std::string_view folder;
  std::vector<std::string_view> mayInclude;
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> all = {
      {"sandbox/base", {}},
      {"sandbox/init", {"sandbox/base"}},
      {"sandbox/client", {"sandbox/base"}},
      {"sandbox/cgroups", {"policy/model", "sandbox/base"}},
      {"sandbox/network", {"policy/model", "sandbox/base"}},
      {"sandbox/rootfs", {"policy/model", "sandbox/base"}},
      {"sandbox/launcher", {"sandbox/rootfs", "sandbox/cgroups", "sandbox/network", "policy/model", "sandbox/base"}},
      // The launcher links policy/model: no parser may come with it.
      {"policy/model", {"sandbox/base"}},
      {"policy/parse", {"policy/model", "sandbox/base"}},
      {"metering", {"sandbox/base"}},
      {"controlplane", {"sandbox/client", "sandbox/base", "policy", "metering"}},
      {"api", {"controlplane", "sandbox/client", "sandbox/base", "policy", "metering"}},
  };
  return all;
}

bool isBeneath(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

const Room* roomOf(std::string_view path) {
  for (const auto& room : rooms()) {
    if (isBeneath(path, room.folder)) return &room;
  }
  return nullptr;
}

// The "..." includes are ours, <...> are the system's and the libraries'.
std::string includeOf(const std::string& line, char open, char close) {
  const auto hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line.compare(hash, 8, "#include") != 0) return "";
  const auto from = line.find(open, hash + 8);
  const auto to = from == std::string::npos ? from : line.find(close, from + 1);
  return to == std::string::npos ? "" : line.substr(from + 1, to - from - 1);
}

std::string list(const std::vector<std::string>& violations) {
  std::ostringstream text;
  for (const auto& one : violations) text << "\n  " << one;
  return text.str();
}

std::vector<std::string> includeViolations(const std::vector<Source>& files) {
  std::vector<std::string> violations;
  for (const auto& source : files) {
    const Room* room = roomOf(source.path);
    if (room == nullptr) continue;
    for (const auto& line : source.lines) {
      const std::string included = includeOf(line, '"', '"');
      if (included.empty() || isBeneath(included, room->folder)) continue;
      const bool allowed = std::any_of(room->mayInclude.begin(), room->mayInclude.end(),
                                       [&](std::string_view folder) { return isBeneath(included, folder); });
      const bool generated =
          room->folder == "policy/model" && (included == "policy/profiles.inc" || included == "policy/apparmor.inc");
      if (!allowed && !generated) violations.push_back(source.path + " includes \"" + included + "\"");
    }
  }
  return violations;
}

// Headers of parsers, databases and HTTP: none near the privileged side.
std::vector<std::string> libraryViolations(const std::vector<Source>& files) {
  constexpr std::array<std::string_view, 12> kFar = {"Poco/",     "nlohmann/",   "sqlite3.h", "libpq-fe.h",
                                                     "toml++/",   "CLI/",        "archive.h", "curl/",
                                                     "rapidjson", "prometheus/", "spdlog/",   "json"};
  std::vector<std::string> violations;
  for (const auto& source : files) {
    if (!isBeneath(source.path, "sandbox") && !isBeneath(source.path, "policy/model")) continue;
    for (const auto& line : source.lines) {
      const std::string included = includeOf(line, '<', '>');
      const bool far = std::any_of(kFar.begin(), kFar.end(), [&](auto name) { return included.starts_with(name); });
      if (far) violations.push_back(source.path + " includes <" + included + ">");
    }
  }
  return violations;
}

// A line without its comment and without what stands in string literals.
std::string codeOf(const std::string& line) {
  std::string code;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && quoted) {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && line.compare(i, 2, "//") == 0) {
      break;
    } else if (!quoted) {
      code += line[i];
    }
  }
  return code;
}

std::vector<std::string> rawCallViolations(const std::vector<Source>& files) {
  // syscall( in any form, and the calls that make descriptors, processes or privileges when they are called as ::name(.
  static const std::regex raw(
      R"((^|[^\w.>:])(::)?syscall\s*\(|(^|[^\w>])::(open|openat|openat2|creat|socket|socketpair|accept|accept4|pipe|pipe2|dup|dup2|dup3|)"
      R"(eventfd|epoll_create1?|timerfd_create|signalfd|inotify_init1?|memfd_create|fork|vfork|clone|execve?|execv|execvp|)"
      R"(execvpe|execl|execlp|fexecve|mount|umount2?|pivot_root|chroot|setns|unshare|prctl|ptrace|ioctl|)"
      R"(setuid|setgid|setresuid|setresgid|setgroups|capset|kill|mkfifo|mknod|splice|tee|vmsplice|bpf)\s*\()");
  std::vector<std::string> violations;
  for (const auto& source : files) {
    if (isBeneath(source.path, "sandbox") || isBeneath(source.path, "tests")) continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      if (!std::regex_search(codeOf(source.lines[i]), raw)) continue;
      violations.push_back(source.path + ":" + std::to_string(i + 1) + ": " + source.lines[i]);
    }
  }
  return violations;
}

std::vector<std::string> lengthViolations(const std::vector<Source>& files) {
  std::vector<std::string> violations;
  for (const auto& source : files) {
    if (isBeneath(source.path, "tests") || source.lines.size() <= kMostLines) continue;
    violations.push_back(source.path + ": " + std::to_string(source.lines.size()) + " lines");
  }
  return violations;
}

TEST(Rules, theTreeIsThere) {
  EXPECT_GT(sources().size(), 50U) << CLOISTER_SOURCE_DIR;
  std::set<std::string_view> seen;
  for (const auto& source : sources()) {
    if (const Room* room = roomOf(source.path)) seen.insert(room->folder);
  }
  for (const auto* folder : {"sandbox/base", "sandbox/launcher", "policy/model", "metering", "controlplane", "api"}) {
    EXPECT_TRUE(seen.contains(folder)) << folder << " was not scanned";
  }
}

TEST(Rules, includesFollowTheHouse) {
  const auto violations = includeViolations(sources());
  EXPECT_TRUE(violations.empty()) << list(violations);
}

TEST(Rules, theSandboxKnowsNoParserNoDatabaseAndNoHttp) {
  const auto violations = libraryViolations(sources());
  EXPECT_TRUE(violations.empty()) << list(violations);
}

TEST(Rules, rawSystemCallsStandInTheSandboxOnly) {
  const auto violations = rawCallViolations(sources());
  EXPECT_TRUE(violations.empty()) << list(violations);
}

// Poco writes strings as their bytes are; one that is no UTF-8 would make a document that every reader refuses.
TEST(Rules, everyJsonWriterGoesThroughJsonText) {
  std::vector<std::string> violations;
  for (const auto& source : sources()) {
    if (isBeneath(source.path, "tests")) continue;
    for (std::size_t i = 0; i < source.lines.size(); ++i) {
      const auto code = codeOf(source.lines[i]);
      const bool writes =
          code.find("stringify(") != std::string::npos || code.find("Poco::toJSON(") != std::string::npos;
      if (!writes) continue;
      const auto all = [&](const std::string& line) { return line.find("utf8::jsonText(") != std::string::npos; };
      if (std::none_of(source.lines.begin(), source.lines.end(), all))
        violations.push_back(source.path + ":" + std::to_string(i + 1) + ": " + source.lines[i]);
    }
  }
  EXPECT_TRUE(violations.empty()) << list(violations);
}

TEST(Rules, filesStayShort) {
  const auto violations = lengthViolations(sources());
  EXPECT_TRUE(violations.empty()) << list(violations);
}

TEST(Rules, everyHeaderOpensWithItsContractAndIsGuarded) {
  std::vector<std::string> violations;
  for (const auto& source : sources()) {
    if (!source.path.ends_with(".h") || isBeneath(source.path, "tests")) continue;
    if (source.lines.empty() || !source.lines.front().starts_with("//"))
      violations.push_back(source.path + ": no opening comment");
    const bool once = std::find(source.lines.begin(), source.lines.end(), "#pragma once") != source.lines.end();
    if (!once) violations.push_back(source.path + ": no #pragma once");
  }
  EXPECT_TRUE(violations.empty()) << list(violations);
}

// The checks themselves, on lines made to fail them.
TEST(RulesSelf, seeWhatTheyShouldSee) {
  const auto includes = [](const char* path, const char* line) { return includeViolations({{path, {line}}}).size(); };
  EXPECT_EQ(includes("sandbox/base/x.cpp", "#include \"metering/usage.h\""), 1U);
  EXPECT_EQ(includes("sandbox/base/x.cpp", "#include \"sandbox/client/launcher_client.h\""), 1U);
  EXPECT_EQ(includes("sandbox/launcher/x.cpp", "  #include \"policy/parse/profile_file.h\""), 1U);
  EXPECT_EQ(includes("sandbox/launcher/x.cpp", "#include \"policy/model/seccomp.h\""), 0U);
  EXPECT_EQ(includes("metering/x.cpp", "#include \"controlplane/model/model.h\""), 1U);
  EXPECT_EQ(includes("controlplane/node/x.cpp", "#include \"sandbox/launcher/server.h\""), 1U);
  EXPECT_EQ(includes("controlplane/node/x.cpp", "#include \"api/server.h\""), 1U);
  EXPECT_EQ(includes("controlplane/node/x.cpp", "#include \"controlplane/model/model.h\""), 0U);

  const auto libraries = [](const char* path, const char* line) { return libraryViolations({{path, {line}}}).size(); };
  EXPECT_EQ(libraries("sandbox/client/x.cpp", "#include <Poco/JSON/Object.h>"), 1U);
  EXPECT_EQ(libraries("policy/model/x.cpp", "#include <toml++/toml.h>"), 1U);
  EXPECT_EQ(libraries("policy/parse/x.cpp", "#include <toml++/toml.h>"), 0U);

  const auto calls = [](const char* path, const char* line) { return rawCallViolations({{path, {line}}}).size(); };
  EXPECT_EQ(calls("metering/x.cpp", "  const int fd = ::open(path, O_RDONLY);"), 1U);
  EXPECT_EQ(calls("metering/x.cpp", "  long n = syscall(SYS_getpid);"), 1U);
  EXPECT_EQ(calls("metering/x.cpp", "  long n = ::syscall(SYS_getpid);"), 1U);
  EXPECT_EQ(calls("metering/x.cpp", "  auto spool = Spool::open(path);  // ::open(path)"), 0U);
  EXPECT_EQ(calls("metering/x.cpp", "  log(\"::open( failed\");"), 0U);
  EXPECT_EQ(calls("sandbox/base/x.cpp", "  ::open(path, O_RDONLY);"), 0U);

  EXPECT_EQ(lengthViolations({{"api/x.cpp", std::vector<std::string>(401)}}).size(), 1U);
  EXPECT_EQ(lengthViolations({{"api/x.cpp", std::vector<std::string>(400)}}).size(), 0U);
}

}  // namespace
}  // namespace cloister::rules
