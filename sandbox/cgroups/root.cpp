#include "sandbox/cgroups/root.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "sandbox/base/files.h"

namespace cloister::cgroups {
namespace {

constexpr std::array kRequired = {"cpu", "memory", "pids"};
constexpr std::array kWanted = {"cpu", "memory", "pids", "io"};

bool validComponent(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                  c == '.' || c == '@';
         });
}

// On v1 a memory group that does not count its children would let a tenant's instances pass the tenant's limit.
Status countChildren(const Place& group) {
  auto hierarchical = readNumber(group, "memory.use_hierarchy");
  if (!hierarchical) return hierarchical.error().code == ENOENT ? Status{} : Status{hierarchical.error()};
  return hierarchical.value() == 1 ? Status{} : writeFile(group, "memory.use_hierarchy", "1");
}

}  // namespace

Result<std::vector<std::string>> rootComponents(const std::string& root) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (;;) {
    const auto end = root.find('/', begin);
    parts.push_back(root.substr(begin, end == std::string::npos ? end : end - begin));
    if (!validComponent(parts.back())) return failure("check the root's name", root, EINVAL);
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

Status enableControllers(const Place& group) {
  auto available = readFile(group, "cgroup.controllers");
  if (!available) return available.error();
  const std::string words = " " + available.value().substr(0, available->find('\n')) + " ";
  const auto offers = [&words](const char* name) {
    return words.find(" " + std::string(name) + " ") != std::string::npos;
  };
  for (const char* name : kRequired) {
    if (!offers(name)) return failure("find the controller", name, ENOTSUP);
  }
  std::string text;
  for (const char* name : kWanted) {
    if (offers(name)) text += (text.empty() ? "+" : " +") + std::string(name);
  }
  return writeFile(group, "cgroup.subtree_control", text);
}

Result<Root> makeRoot(const Mount& mount, Layout layout, const std::vector<std::string>& path, Directories& make) {
  auto opened = files::openDirectory(mount.path);
  if (!opened) return failure("open", mount.path, opened.error().code);
  UniqueFd at = std::move(opened).value();
  std::string name = mount.path;
  std::vector<UniqueFd> above;
  std::size_t firstMade = path.size();
  Status done;
  for (const std::string& component : path) {
    if (layout == Layout::unified) done = enableControllers(Place{at.get(), name});
    if (!done) break;
    const bool isNew = make.make(at.get(), component.c_str()) == 0;
    if (!isNew && errno != EEXIST) done = failure("mkdir", name + "/" + component, errno);
    if (!done) break;
    name += "/" + component;
    auto next = openGroup(at.get(), component, name);
    if (isNew) firstMade = std::min(firstMade, above.size());
    above.push_back(std::move(at));
    if (!next) {
      done = next.error();
      break;
    }
    at = std::move(next).value();
  }
  if (done && layout == Layout::unified) done = enableControllers(Place{at.get(), name});
  if (done &&
      std::find(mount.kinds.begin(), mount.kinds.end(), launcher::DescriptorKind::memory) != mount.kinds.end()) {
    done = countChildren(Place{at.get(), name});
  }
  if (done) return Root{std::move(above.back()), path.back(), std::move(at)};
  for (std::size_t level = above.size(); level-- > firstMade;) {
    (void)make.remove(above[level].get(), path[level].c_str());
  }
  return done.error();
}

}  // namespace cloister::cgroups
