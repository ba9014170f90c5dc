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

bool matches(std::span<const std::string> pattern, std::span<const std::string> path) {
  if (pattern.empty()) return path.empty();
  if (pattern.front() == "**") {
    // A last "**" takes what is inside a directory, not the directory itself.
    if (pattern.size() == 1) return !path.empty();
    for (std::size_t skip = 0; skip <= path.size(); ++skip) {
      if (matches(pattern.subspan(1), path.subspan(skip))) return true;
    }
    return false;
  }
  if (path.empty() || ::fnmatch(pattern.front().c_str(), path.front().c_str(), 0) != 0) return false;
  return matches(pattern.subspan(1), path.subspan(1));
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
