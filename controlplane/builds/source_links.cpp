#include "controlplane/builds/source_links.h"

#include <algorithm>

namespace cloister::builds {
namespace {

// As many as the kernel follows for one path; beyond them it answers ELOOP.
constexpr int kMostFollowed = 40;
constexpr std::uint64_t kMostHeld = 64ULL << 20U;
// Bytes of paths looked at for all links together: a node_modules of 5,000 links takes a megabyte.
constexpr std::uint64_t kMostEffort = 128ULL << 20U;
constexpr std::uint64_t kStep = 64;  // what a look costs beside the bytes

std::string joined(const std::vector<std::string_view>& parts, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path.append(i == 0 ? "" : "/").append(parts[i]);
  return path;
}

// False: it was at the top already.
bool climb(std::string& path) {
  if (path.empty()) return false;
  const auto slash = path.rfind('/');
  path.resize(slash == std::string::npos ? 0 : slash);
  return true;
}

std::string parentOf(const std::string& name) {
  std::string parent = name;
  (void)climb(parent);
  return parent;
}

// Climbs above the top when the target is read as a text.
bool leavesAsText(const std::string& name, const std::string& target) {
  auto depth = std::count(name.begin(), name.end(), '/');
  for (const auto part : pathParts(target)) {
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string_view> pathParts(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto part = path.substr(0, end);
    if (!part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

void SourceLinks::add(const std::vector<std::string_view>& name, std::string_view target) {
  const auto path = joined(name, name.size());
  held_ += path.size() + target.size();
  if (held_ > kMostHeld) throw TooMany();
  links_.insert_or_assign(path, std::string(target));
}

std::optional<std::string> SourceLinks::targetOf(const std::vector<std::string_view>& name) const {
  const auto found = links_.find(joined(name, name.size()));
  return found == links_.end() ? std::nullopt : std::optional(found->second);
}

bool SourceLinks::behind(const std::vector<std::string_view>& name) const {
  if (links_.empty()) return false;
  std::string parent;
  for (std::size_t count = 0; count + 1 < name.size(); ++count) {
    parent.append(count == 0 ? "" : "/").append(name[count]);
    if (links_.contains(parent)) return true;
  }
  return false;
}

std::optional<SourceLinks::Link> SourceLinks::leavingTree() const {
  std::uint64_t effort = 0;
  for (const auto& [name, target] : links_) {
    if (leaves(name, target, effort)) return Link{name, target};
  }
  return std::nullopt;
}

bool SourceLinks::leaves(const std::string& name, const std::string& target, std::uint64_t& effort) const {
  if (leavesAsText(name, target)) return true;
  // What is left of the way, its next part last. The views are of targets in links_.
  std::vector<std::string_view> way = pathParts(target);
  std::reverse(way.begin(), way.end());
  std::string at = parentOf(name);
  int followed = 1;
  while (!way.empty()) {
    const auto part = way.back();
    way.pop_back();
    effort += kStep + at.size() + part.size();
    if (effort > kMostEffort) throw TooMany();
    if (part == "..") {
      if (!climb(at)) return true;
      continue;
    }
    const auto length = at.size();
    at.append(at.empty() ? "" : "/").append(part);
    const auto link = links_.find(at);
    if (link == links_.end()) continue;
    if (++followed > kMostFollowed) return false;
    at.resize(length);
    const auto more = pathParts(link->second);
    way.insert(way.end(), more.rbegin(), more.rend());
  }
  return false;
}

}  // namespace cloister::builds
