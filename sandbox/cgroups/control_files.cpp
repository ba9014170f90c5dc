#include "sandbox/cgroups/control_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "sandbox/base/files.h"

namespace cloister::cgroups {
namespace {

std::string join(const Place& place, std::string_view file) {
  return place.name + "/" + std::string(file);
}

Error of(const Place& place, std::string_view file, const Error& cause) {
  return failure(cause.operation, join(place, file), cause.code);
}

}  // namespace

Error failure(std::string_view operation, std::string_view path, int code) {
  return Error{"cgroup", std::string(operation), std::string(path), code};
}

Result<UniqueFd> openGroup(int parent, const std::string& component, const std::string& name) {
  auto opened = files::openAt(parent, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened) return failure("open", name, opened.error().code);
  return opened;
}

Result<std::string> readFile(const Place& place, std::string_view file) {
  auto text = files::read(place.directory, file);
  if (!text) return of(place, file, text.error());
  return text;
}

Status writeFile(const Place& place, std::string_view file, std::string_view text) {
  auto wrote = files::writeControl(place.directory, file, text);
  if (!wrote) return of(place, file, wrote.error());
  return {};
}

Status writeIfPresent(const Place& place, std::string_view file, std::string_view text) {
  auto wrote = writeFile(place, file, text);
  if (!wrote && wrote.error().code == ENOENT) return {};
  return wrote;
}

Result<std::uint64_t> readNumber(const Place& place, std::string_view file) {
  auto text = readFile(place, file);
  if (!text) return text.error();
  const std::string& digits = text.value();
  if (digits.starts_with("max") || digits.starts_with("-")) return kUnlimited;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{}) return failure("parse", join(place, file), EPROTO);
  return number;
}

Result<std::vector<pid_t>> readProcesses(const Place& place) {
  auto text = readFile(place, "cgroup.procs");
  if (!text) return text.error();
  std::vector<pid_t> pids;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc{} || pid < 0) return failure("parse", join(place, "cgroup.procs"), EPROTO);
    pids.push_back(pid);
    at = next;
    while (at < end && *at == '\n') ++at;
  }
  return pids;
}

Result<std::vector<std::string>> childGroups(const Place& place) {
  auto copy = files::openAt(place.directory, ".", O_RDONLY | O_DIRECTORY);
  if (!copy) return failure("open", place.name, copy.error().code);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy->get()), ::closedir);
  if (!stream) return failure("fdopendir", place.name, errno);
  (void)copy->release();  // closedir closes it
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) {
      if (errno != 0) return failure("readdir", place.name, errno);
      return names;
    }
    const std::string name(static_cast<const char*>(entry->d_name));
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(place.directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
      names.push_back(name);
    }
  }
}

Result<bool> parsePopulated(std::string_view events) {
  constexpr std::string_view key = "populated ";
  const auto at = events.find(key);
  const bool lineStart = at == 0 || (at != std::string_view::npos && events[at - 1] == '\n');
  if (!lineStart || at + key.size() >= events.size()) return failure("parse", "cgroup.events", EPROTO);
  const char value = events[at + key.size()];
  if (value != '0' && value != '1') return failure("parse", "cgroup.events", EPROTO);
  return value == '1';
}

}  // namespace cloister::cgroups
