#include "tests/bench/bench_host.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "sandbox/base/unique_fd.h"

namespace cloister::bench {
namespace {

namespace fs = std::filesystem;

void shell(const std::string& command) {
  if (runCommand({"/bin/sh", "-ec", command}) != 0) throw std::runtime_error("failed: " + command);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> found;
  found.reserve(words.size() + 1);
  for (std::string& word : words) found.push_back(word.data());
  found.push_back(nullptr);
  return found;
}

}  // namespace

int runCommand(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  posix_spawn_file_actions_t actions;
  if (::posix_spawn_file_actions_init(&actions) != 0) return 127;
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, words.front().c_str(), &actions, nullptr, pointers(words).data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || ::waitpid(pid, &status, 0) != pid) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string findProgram(const std::string& name) {
  for (const char* directory : {"/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}) {
    const std::string path = directory + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

Host::Host(std::string launcherProgram) : launcherProgram_(std::move(launcherProgram)) {
  std::string pattern = (fs::temp_directory_path() / "cloister-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  cgroupRoot_ = "cloister-bench-" + std::to_string(::getpid());
  if (::chmod(directory_.c_str(), 0755) != 0) throw std::runtime_error("chmod failed");
  if (::unshare(CLONE_NEWNET) != 0) throw std::runtime_error("a network namespace cannot be made: root is needed");
  makeRootfs();
}

void Host::makeRootfs() const {
  const std::string busybox = findProgram("busybox");
  if (busybox.empty()) throw std::runtime_error("busybox-static is not installed");
  fs::create_directories(rootfs() + "/bin");
  for (const char* name : {"proc", "dev", "sys", "tmp", "etc", "app", "run"})
    fs::create_directories(fs::path(rootfs()) / name);
  fs::copy_file(busybox, rootfs() + "/bin/busybox");
  for (const char* name : {"sh", "true"}) fs::create_symlink("busybox", fs::path(rootfs()) / "bin" / name);
}

void Host::startLauncher() {
  std::array<int, 2> ready{};
  if (::pipe2(ready.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  UniqueFd readEnd(ready[0]);
  UniqueFd writeEnd(ready[1]);
  std::vector<std::string> words = {launcherProgram_, "--run",         path("run"), "--store",
                                    path("store"),    "--cgroup-root", cgroupRoot_};
  launcher_ = ::fork();
  if (launcher_ == 0) {
    ::dup2(writeEnd.get(), 1);
    ::execv(words.front().c_str(), pointers(words).data());
    ::_exit(127);
  }
  writeEnd.reset();
  char byte = 0;
  if (launcher_ < 0 || ::read(readEnd.get(), &byte, 1) != 1)
    throw std::runtime_error(launcherProgram_ + " did not start");

  client_ = std::make_unique<sandbox::LauncherClient>(path("run") + "/launcher.sock");
  launcher::TenantPutRequest tenant;
  tenant.tenant = kTenant;
  tenant.limits = {.memoryBytes = 512ULL << 20U, .cpuMillis = 2'000, .pids = 256, .networkBitsPerSecond = 0};
  if (auto put = client_->putTenant(tenant); !put) throw std::runtime_error(put.error().message());

  const std::string image = path("layer.erofs");
  shell("mkfs.erofs --quiet -zlz4 " + image + " " + rootfs() + " >/dev/null; sha256sum " + image + " | cut -c1-64 >" +
        path("digest"));
  std::ifstream(path("digest")) >> digest_;
  const UniqueFd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  if (auto mounted = client_->mountLayer(digest_, file.get()); !mounted)
    throw std::runtime_error(mounted.error().message());
}

Host::~Host() {
  client_.reset();
  if (launcher_ > 0) {
    ::kill(launcher_, SIGTERM);
    ::waitpid(launcher_, nullptr, 0);
    (void)runCommand(
        {launcherProgram_, "--purge", "--run", path("run"), "--store", path("store"), "--cgroup-root", cgroupRoot_});
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

}  // namespace cloister::bench
