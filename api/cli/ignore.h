// Which files of a source directory stay at home: the patterns of .gitignore and .cloisterignore.
//
// Patterns are git's: `#` comments, `!` takes back, a trailing `/` means directories only, a `/` elsewhere anchors the
// pattern to the directory of its file, `*`, `?`, `[...]` stay within one name and `**` crosses names. The last pattern
// that matches decides; .cloisterignore is read after .gitignore, so it can take back. Directories `node_modules` are
// ignored until a pattern takes them back (`!node_modules/`), `.git` always. A byte order mark in front is skipped, and
// lines may end in CR LF.
//
// Threads: none shared. Failures: a pattern file that is unreadable or UTF-16 is std::runtime_error: to go on without
// it would send what it keeps at home.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::cli {

enum class EntryKind { file, directory };

class IgnoreRules {
 public:
  IgnoreRules();
  // Adds the pattern files of `directory`, whose path within the tree is `relative` ("" for the top).
  void enter(const std::filesystem::path& directory, const std::string& relative);
  void add(std::string_view patterns, const std::string& relative = {});
  [[nodiscard]] bool ignored(const std::string& path, EntryKind kind) const;

  // Rules are a stack: note the size before enter() and cut back to it when leaving the directory.
  [[nodiscard]] std::size_t size() const { return rules_.size(); }
  void leave(std::size_t size) { rules_.erase(rules_.begin() + static_cast<std::ptrdiff_t>(size), rules_.end()); }

 private:
  enum class Sense { ignore, keep };
  struct Rule {
    std::string base;                   // directory of the pattern file, "" or "a/b"
    std::vector<std::string> segments;  // the pattern cut at "/"
    Sense sense = Sense::ignore;
    bool directoriesOnly = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace cloister::cli
