#include "tests/bench/bench_host.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "sandbox/base/unique_fd.h"
#include "tests/bench/commands.h"

namespace cloister::bench {
namespace {

namespace fs = std::filesystem;

bool unified() {
  return fs::exists("/sys/fs/cgroup/cgroup.controllers");
}

bool hasAppArmor() {
  std::ifstream file("/sys/module/apparmor/parameters/enabled");
  return file.get() == 'Y';
}

std::vector<std::string> hierarchies() {
  if (unified()) return {"/sys/fs/cgroup"};
  std::vector<std::string> mounts;
  for (const char* name : {"unified", "cpu", "cpuacct", "memory", "pids", "blkio"}) {
    const std::string mount = std::string("/sys/fs/cgroup/") + name;
    if (fs::exists(mount)) mounts.push_back(mount);
  }
  return mounts;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace

Host::Host(std::string binaries, uid_t user, const std::vector<std::string>& programs)
    : binaries_(std::move(binaries)), user_(std::to_string(user)) {
  std::string pattern = (fs::temp_directory_path() / "cloister-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  cgroupRoot_ = "cloister-bench-" + std::to_string(::getpid());
  if (::chmod(directory_.c_str(), 0755) != 0) throw std::runtime_error("chmod failed");
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    throw std::runtime_error("namespaces cannot be made: root is needed");
  }
  makeRootfs(programs);
  shell(CLOISTER_UPPER_POOL " " + path("pool") + " 4096");
}

void Host::makeRootfs(const std::vector<std::string>& programs) const {
  const std::string program = findProgram("busybox");
  if (program.empty()) throw std::runtime_error("busybox-static is not installed");
  fs::create_directories(rootfs() + "/bin");
  for (const char* name : {"proc", "dev", "sys", "tmp", "etc", "app", "run"})
    fs::create_directories(fs::path(rootfs()) / name);
  fs::copy_file(program, rootfs() + "/bin/busybox");
  for (const char* name : {"sh", "true", "sleep", "httpd", "dd", "yes", "nc", "rm"})
    fs::create_symlink("busybox", fs::path(rootfs()) / "bin" / name);
  for (const std::string& name : programs) fs::copy_file(this->program(name), rootfs() + "/bin/" + name);
  fs::permissions(rootfs() + "/app", fs::perms::all);
  write(rootfs() + "/etc/page", std::string(1024, 'x'));
  shell("head -c 48M /dev/urandom >" + rootfs() + "/etc/large");
  shell("mkfs.erofs --quiet -zlz4 " + path("layer.erofs") + " " + rootfs() + " >/dev/null");
}

std::vector<std::string> Host::launcherCommand(const std::vector<std::string>& options) const {
  std::vector<std::string> words = {program("cloister-launcher"),
                                    "--run",
                                    path("run"),
                                    "--store",
                                    path("store"),
                                    "--pool",
                                    path("pool"),
                                    "--cgroup-root",
                                    cgroupRoot_};
  if (hasAppArmor()) words.insert(words.end(), {"--apparmor", path("profiles")});
  words.insert(words.end(), options.begin(), options.end());
  return words;
}

void Host::spawnLauncher() {
  std::array<int, 2> ready{};
  if (::pipe2(ready.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const UniqueFd readEnd(ready[0]);
  UniqueFd writeEnd(ready[1]);
  std::vector<std::string> words = launcherCommand({"--allow-uid", user_, "--allow-gid", user_});
  if (!witnesses_.init.empty()) words.insert(words.end(), {"--init", witnesses_.init});
  launcher_ = ::fork();
  if (launcher_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a benchmark that was stopped takes its launcher with it
    ::dup2(writeEnd.get(), 1);
    if (!witnesses_.preload.empty()) ::setenv("LD_PRELOAD", witnesses_.preload.c_str(), 1);
    ::execv(words.front().c_str(), pointers(words).data());
    ::_exit(127);
  }
  writeEnd.reset();
  char byte = 0;
  if (launcher_ < 0 || ::read(readEnd.get(), &byte, 1) != 1) throw std::runtime_error(words.front() + " did not start");
}

void Host::startLauncher(Witnesses witnesses) {
  witnesses_ = std::move(witnesses);
  // As on a host that `up` has made: containers are under a profile where the kernel has AppArmor.
  if (hasAppArmor()) {
    shell(program("cloister-launcher") + " --print-profiles >" + path("profiles.text") +
          "; apparmor_parser --quiet --skip-kernel-load --skip-cache --ofile " + path("profiles") + " " +
          path("profiles.text"));
  }
  spawnLauncher();
  client_ = std::make_unique<sandbox::LauncherClient>(path("run") + "/launcher.sock");
  putTenant(kTenant);
  shell("sha256sum " + path("layer.erofs") + " | cut -c1-64 >" + path("digest"));
  std::ifstream(path("digest")) >> digest_;
  const UniqueFd file(::open(path("layer.erofs").c_str(), O_RDONLY | O_CLOEXEC));
  if (auto mounted = client_->mountLayer(digest_, file.get()); !mounted)
    throw std::runtime_error(mounted.error().message());
}

void Host::replaceLauncher() {
  ::kill(launcher_, SIGKILL);
  ::waitpid(launcher_, nullptr, 0);
  spawnLauncher();
}

void Host::putTenant(TenantIndex tenant) {
  launcher::TenantPutRequest request;
  request.tenant = tenant;
  request.limits = {.memoryBytes = 512ULL << 20U, .cpuMillis = 2'000, .pids = 256, .networkBitsPerSecond = 0};
  if (auto put = client_->putTenant(request); !put) throw std::runtime_error(put.error().message());
}

void Host::mountLayer() {
  fs::create_directories(path("layer"));
  shell("mount -o loop,ro " + path("layer.erofs") + " " + path("layer"));
}

std::string Host::holdUserNamespace() {
  holder_ = ::fork();
  if (holder_ == 0) {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(1);
    for (;;) ::pause();
  }
  const std::string directory = "/proc/" + std::to_string(holder_);
  const auto own = fs::read_symlink("/proc/self/ns/user");
  while (fs::read_symlink(directory + "/ns/user") == own) ::usleep(1000);
  for (const char* map : {"/uid_map", "/gid_map"}) write(directory + map, "0 100000 65536\n");
  return directory + "/ns/user";
}

std::string Host::makeGroup(const std::string& name) {
  std::string group = cgroupRoot_ + "-" + name;
  for (const std::string& mount : hierarchies()) {
    groups_.push_back(mount + "/" + group);
    fs::create_directory(groups_.back());
    if (unified()) write(groups_.back() + "/cgroup.subtree_control", "+cpu +memory +pids");
  }
  return group;
}

Host::~Host() {
  client_.reset();
  if (holder_ > 0) {
    ::kill(holder_, SIGKILL);
    ::waitpid(holder_, nullptr, 0);
  }
  if (launcher_ > 0) {
    ::kill(launcher_, SIGTERM);
    ::waitpid(launcher_, nullptr, 0);
    (void)runCommand(launcherCommand({"--purge"}));
  }
  for (const std::string& group : groups_) ::rmdir(group.c_str());
  ::umount2(path("layer").c_str(), MNT_DETACH);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

launcher::LaunchRequest busybox(const Host& host, const std::string& instance, std::vector<std::string> argv) {
  launcher::LaunchRequest request;
  request.instance = instance;
  request.tenant = kTenant;
  request.layers = {host.layer()};
  request.hostname = "bench";
  request.argv = std::move(argv);
  request.environment = {"PATH=/bin"};
  request.workingDirectory = "/";
  request.limits = {.memoryBytes = 64ULL << 20U,
                    .cpuMillis = 1'000,
                    .pids = 32,
                    .diskBytes = 16ULL << 20U,
                    .inodes = 1'000,
                    .openFiles = 256};
  return request;
}

}  // namespace cloister::bench
