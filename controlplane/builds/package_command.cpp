#include "controlplane/builds/package_command.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace cloister::builds {
namespace {

using Words = std::vector<std::string_view>;

constexpr std::array<std::string_view, 9> kVerbs = {"update", "upgrade",    "dist-upgrade", "full-upgrade", "install",
                                                    "remove", "autoremove", "clean",        "purge"};
constexpr std::array<std::string_view, 10> kOptions = {"-y",
                                                       "--yes",
                                                       "--assume-yes",
                                                       "-q",
                                                       "-qq",
                                                       "--quiet",
                                                       "--no-install-recommends",
                                                       "--no-install-suggests",
                                                       "--fix-missing",
                                                       "--purge"};
constexpr std::array<std::string_view, 2> kCaches = {"/var/lib/apt/lists/*", "/var/cache/apt/archives/*"};

template <std::size_t N>
bool isOneOf(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool isLower(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// name, name:arch, name=version, name/release. Of a file apt wants a path or an ending.
bool isPackage(std::string_view word) {
  if (word.empty() || !isLower(word.front())) return false;
  if (word.ends_with(".deb") || word.ends_with(".dsc") || word.ends_with(".changes")) return false;
  const auto name = word.substr(0, word.find_first_of("=/"));
  const auto rest = word.substr(name.size());
  const auto inName = [](char c) { return isLower(c) || c == '+' || c == '-' || c == '.' || c == ':'; };
  const auto inVersion = [&](char c) { return inName(c) || (c >= 'A' && c <= 'Z') || c == '~' || c == '_'; };
  return std::all_of(name.begin(), name.end(), inName) &&
         (rest.empty() || (rest.size() > 1 && std::all_of(rest.begin() + 1, rest.end(), inVersion)));
}

bool isPlain(Words words) {
  if (!words.empty() && words.front() == "DEBIAN_FRONTEND=noninteractive") words.erase(words.begin());
  if (words.empty()) return false;
  if (words.front() == "rm") {
    return words.size() > 2 && words[1] == "-rf" &&
           std::all_of(words.begin() + 2, words.end(), [](auto word) { return isOneOf(kCaches, word); });
  }
  if (words.front() != "apt-get" && words.front() != "apt") return false;
  bool verb = false;
  for (const auto word : Words(words.begin() + 1, words.end())) {
    if (isOneOf(kOptions, word)) continue;
    if (!verb) {
      if (!isOneOf(kVerbs, word)) return false;
      verb = true;
    } else if (!isPackage(word)) {
      return false;
    }
  }
  return verb;
}

}  // namespace

bool onlyInstallsPackages(std::string_view command) {
  Words words;
  std::size_t at = 0;
  const auto isBlank = [](char c) { return c == ' ' || c == '\t'; };
  while (at < command.size()) {
    if (isBlank(command[at])) {
      ++at;
    } else if (command.substr(at, 2) == "&&" || command[at] == ';') {
      if (!isPlain(std::exchange(words, {}))) return false;
      at += command[at] == ';' ? 1U : 2U;
    } else {
      const auto end = std::min(command.find_first_of(" \t;&", at), command.size());
      if (end == at) return false;  // a single &
      words.push_back(command.substr(at, end - at));
      at = end;
    }
  }
  return isPlain(words);
}

}  // namespace cloister::builds
