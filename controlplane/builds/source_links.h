// Where the symbolic links of a source archive lead: each is judged by its end, not by how its target is spelt.
//
//   links.add("packages/cli", "../tools/../bin/cli");
//   links.behind(parts)     an entry whose name goes through a link: it would be unpacked elsewhere
//   links.leavingTree()     when all entries are known
//
// A link stays inside when its target, read as a text, never climbs above the tree's top, and neither does it when
// every link of the archive on the way is followed as the kernel would. What the target names need not exist. Threads:
// none. Failures: TooMany when judging them would take longer than any honest source needs.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace cloister::builds {

// A path's parts without "." and empty ones.
[[nodiscard]] std::vector<std::string_view> pathParts(std::string_view path);

class SourceLinks {
 public:
  struct TooMany : std::runtime_error {
    TooMany() : std::runtime_error("its links lead through too many others") {}
  };

  void add(const std::vector<std::string_view>& name, std::string_view target);
  // The target of the link of that very name.
  [[nodiscard]] std::optional<std::string> targetOf(const std::vector<std::string_view>& name) const;
  // True when a parent of `name` is a link.
  [[nodiscard]] bool behind(const std::vector<std::string_view>& name) const;

  struct Link {
    std::string name;
    std::string target;
  };
  // The first link that leads out of the tree.
  [[nodiscard]] std::optional<Link> leavingTree() const;

 private:
  [[nodiscard]] bool leaves(const std::string& name, const std::string& target, std::uint64_t& effort) const;

  std::unordered_map<std::string, std::string> links_;  // name, its parts joined by "/" -> target
  std::uint64_t held_ = 0;                              // bytes of names and targets
};

}  // namespace cloister::builds
