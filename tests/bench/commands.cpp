#include "tests/bench/commands.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "sandbox/base/unique_fd.h"

namespace cloister::bench {
namespace {

double millis(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

// The child's pid, or -1. Its stderr goes to /dev/null when `stderrTo` is negative.
pid_t spawn(const std::vector<std::string>& command, int stderrTo) {
  std::vector<std::string> words = command;
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return -1;
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (stderrTo >= 0) {
    ::posix_spawn_file_actions_adddup2(&actions, stderrTo, 2);
  } else {
    ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  }
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, words.front().c_str(), &actions, nullptr, pointers(words).data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return failed == 0 ? pid : -1;
}

Ended wait(pid_t pid) {
  int status = 0;
  rusage usage{};
  if (pid < 0 || ::wait4(pid, &status, 0, &usage) != pid) return {};
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          millis(usage.ru_utime) + millis(usage.ru_stime)};
}

}  // namespace

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> found;
  found.reserve(words.size() + 1);
  for (std::string& word : words) found.push_back(word.data());
  found.push_back(nullptr);
  return found;
}

Ended runCommand(const std::vector<std::string>& command) {
  return wait(spawn(command, -1));
}

std::string complaintOf(const std::vector<std::string>& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "pipe failed";
  const UniqueFd read(ends[0]);
  UniqueFd write(ends[1]);
  const pid_t pid = spawn(command, write.get());
  write.reset();
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t got = 0; (got = ::read(read.get(), part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<std::size_t>(got));
  const Ended ended = wait(pid);
  if (ended.code == 0) return {};
  return text.empty() ? "exit " + std::to_string(ended.code) : text.substr(0, text.find('\n'));
}

void shell(const std::string& command) {
  if (runCommand({"/bin/sh", "-ec", command}).code != 0) throw std::runtime_error("failed: " + command);
}

std::string findProgram(const std::string& name) {
  for (const char* directory : {"/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}) {
    std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

}  // namespace cloister::bench
