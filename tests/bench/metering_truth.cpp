#include "tests/bench/metering_truth.h"

#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "tests/bench/metering_reap.h"

namespace cloister::bench {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::milliseconds kLook{2};

// The smallest: a container's others are its descendants.
pid_t firstProcess(const fs::path& group) {
  std::ifstream file(group / "cgroup.procs");
  pid_t first = -1;
  for (pid_t pid = 0; file >> pid;) {
    if (pid > 0 && (first < 0 || pid < first)) first = pid;
  }
  return first;
}

std::uint64_t microsOf(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

std::string unifiedGroup(const std::string& root) {
  const bool pure = fs::exists("/sys/fs/cgroup/cgroup.controllers");
  return (pure ? "/sys/fs/cgroup/" : "/sys/fs/cgroup/unified/") + root;
}

std::uint64_t groupMicros(const std::string& directory) {
  std::ifstream file(directory + "/cpu.stat");
  std::string key;
  std::uint64_t micros = 0;
  if (!(file >> key >> micros) || key != "usage_usec") throw std::runtime_error("cannot read " + directory);
  return micros;
}

Truth::Truth(std::string groups, const std::string& lines)
    : groups_(std::move(groups)), events_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), lines_(lines) {
  if (!events_) throw std::runtime_error("inotify_init1 failed");
  if (!lines_) throw std::runtime_error("cannot read " + lines);
  watch(groups_);
  for (const auto& tenant : fs::directory_iterator(groups_)) {
    if (tenant.is_directory()) watch(tenant.path());
  }
  // Containers of a launcher that was killed become children of this process.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) throw std::runtime_error("prctl failed");
  thread_ = std::thread([this] { run(); });
}

Truth::~Truth() {
  stopping_ = true;
  thread_.join();
}

std::map<std::string, Spent> Truth::containers() {
  const std::lock_guard lock(mutex_);
  return containers_;
}

void Truth::run() {
  while (!stopping_) {
    {
      const std::lock_guard lock(mutex_);
      hearOfNew();
      findNew();
      readLines();
      reapOrphans();
    }
    std::this_thread::sleep_for(kLook);
  }
}

void Truth::watch(const std::string& directory) {
  const int id = ::inotify_add_watch(events_.get(), directory.c_str(), IN_CREATE | IN_ONLYDIR);
  if (id < 0) throw std::runtime_error("cannot watch " + directory);
  watched_[id] = directory;
}

// Each group that was made since, also those that are gone already.
void Truth::hearOfNew() {
  alignas(inotify_event) std::array<char, 16 * 1024> bytes{};
  for (ssize_t got = 0; (got = ::read(events_.get(), bytes.data(), bytes.size())) > 0;) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, &bytes.at(at), sizeof event);
      if ((event.mask & IN_Q_OVERFLOW) != 0) throw std::runtime_error("events of new groups were lost");
      const std::string name = event.len == 0 ? "" : &bytes.at(at + sizeof event);
      at += sizeof event + event.len;
      if ((event.mask & IN_ISDIR) == 0) continue;
      const auto& parent = watched_.at(event.wd);
      if (parent == groups_) {
        watch(groups_ + "/" + name);  // findNew sees what was made in it before
      } else {
        containers_[name];
      }
    }
  }
}

void Truth::findNew() {
  std::error_code code;
  for (const auto& tenant : fs::directory_iterator(groups_, code)) {
    if (!tenant.is_directory(code)) continue;
    for (const auto& group : fs::directory_iterator(tenant.path(), code)) {
      if (!group.is_directory(code)) continue;
      auto& spent = containers_[group.path().filename()];
      if (spent.pid < 0) spent.pid = firstProcess(group.path());
    }
  }
}

void Truth::readLines() {
  std::string line;
  while (std::getline(lines_, line)) {
    if (lines_.eof()) {
      rest_ += line;
      break;
    }
    std::istringstream words(rest_ + line);
    rest_.clear();
    pid_t pid = 0;
    std::uint64_t micros = 0;
    int status = 0;
    if (words >> pid >> micros >> status) end(pid, micros, status);
  }
  lines_.clear();
}

void Truth::reapOrphans() {
  for (auto& [name, spent] : containers_) {
    if (spent.ended || spent.pid < 0) continue;
    rusage used{};
    int status = 0;
    if (reapWhole(spent.pid, &status, WNOHANG, &used) != spent.pid) continue;
    end(spent.pid, microsOf(used.ru_utime) + microsOf(used.ru_stime), status);
  }
}

void Truth::end(pid_t pid, std::uint64_t micros, int status) {
  const auto found = std::find_if(containers_.begin(), containers_.end(),
                                  [pid](const auto& entry) { return entry.second.pid == pid && !entry.second.ended; });
  if (found == containers_.end()) return;  // another child of the launcher's
  found->second.ended = true;
  found->second.micros = micros;
  found->second.killed = WIFSIGNALED(status);
}

}  // namespace cloister::bench
