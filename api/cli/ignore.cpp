#include "api/cli/ignore.h"

#include <fnmatch.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <sstream>
#include <stdexcept>

#include "sandbox/base/utf8.h"

namespace cloister::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> segments;
  while (!text.empty()) {
    const std::size_t slash = text.find('/');
    if (slash != 0) segments.emplace_back(text.substr(0, slash));
    if (slash == std::string_view::npos) break;
    text.remove_prefix(slash + 1);
  }
  return segments;
}

// A row a segment of the pattern: which beginnings of the path it can have taken. Its cost is a product, whatever the
// pattern; trying each "**" at each place would be a power.
bool matches(std::span<const std::string> pattern, std::span<const std::string> path) {
  std::vector<char> taken(path.size() + 1, 0);
  taken[0] = 1;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    std::vector<char> next(path.size() + 1, 0);
    for (std::size_t at = 0; at <= path.size(); ++at) {
      if (taken[at] == 0) continue;
      if (pattern[i] == "**") {
        // A last "**" takes what is inside a directory, not the directory itself.
        if (i + 1 == pattern.size()) return at < path.size();
        std::fill(next.begin() + static_cast<std::ptrdiff_t>(at), next.end(), 1);
        break;
      }
      if (at < path.size() && ::fnmatch(pattern[i].c_str(), path[at].c_str(), 0) == 0) next[at + 1] = 1;
    }
    taken = std::move(next);
  }
  return taken[path.size()] != 0;
}

std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
    if (line.size() > 1 && line[line.size() - 2] == '\\') break;
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace

IgnoreRules::IgnoreRules() {
  add("node_modules/");
}

void IgnoreRules::enter(const fs::path& directory, const std::string& relative) {
  for (const char* name : {".gitignore", ".cloisterignore"}) {
    const fs::path file = directory / name;
    if (!fs::is_regular_file(fs::symlink_status(file))) continue;
    std::ifstream in(file);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    std::stringstream text;
    text << in.rdbuf();
    const std::string bytes = text.str();
    if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF") || bytes.find('\0') != std::string::npos)
      throw std::runtime_error(file.string() + " is UTF-16; save it as UTF-8");
    add(bytes, relative);
  }
}

void IgnoreRules::add(std::string_view patterns, const std::string& relative) {
  std::istringstream lines{std::string(utf8::withoutMark(patterns))};
  for (std::string text; std::getline(lines, text);) {
    std::string_view line = trimmed(text);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    rule.base = relative;
    if (line.front() == '!') {
      rule.sense = Sense::keep;
      line.remove_prefix(1);
    } else if (line.starts_with("\\#") || line.starts_with("\\!")) {
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.directoriesOnly = true;
      line.remove_suffix(1);
    }
    const bool anchored = line.find('/') != std::string_view::npos;
    rule.segments = split(line);
    if (rule.segments.empty()) continue;
    if (!anchored) rule.segments.insert(rule.segments.begin(), "**");
    rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::ignored(const std::string& path, EntryKind kind) const {
  const std::vector<std::string> segments = split(path);
  if (segments.empty()) return false;
  if (segments.back() == ".git") return true;
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directoriesOnly && kind != EntryKind::directory) continue;
    const std::vector<std::string> base = split(rule->base);
    if (base.size() >= segments.size() || !std::equal(base.begin(), base.end(), segments.begin())) continue;
    if (matches(rule->segments, std::span(segments).subspan(base.size()))) return rule->sense == Sense::ignore;
  }
  return false;
}

}  // namespace cloister::cli
