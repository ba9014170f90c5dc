#include "tests/integration/launcher/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

// The profiles that a launcher wants where the kernel has AppArmor, compiled once for all tests as `up` does it.
class AppArmorProfiles {
 public:
  AppArmorProfiles() {
    std::string pattern = "/tmp/cloister-apparmor-XXXXXX";
    if (readWhole("/sys/module/apparmor/parameters/enabled") != "Y\n" || ::mkdtemp(pattern.data()) == nullptr) return;
    directory_ = pattern;
    EXPECT_EQ(shell(CLOISTER_LAUNCHER " --print-profiles >" + directory_ +
                    "/text; apparmor_parser --quiet "
                    "--skip-kernel-load --skip-cache --ofile " +
                    file() + " " + directory_ + "/text"),
              0);
  }
  AppArmorProfiles(const AppArmorProfiles&) = delete;
  AppArmorProfiles& operator=(const AppArmorProfiles&) = delete;
  ~AppArmorProfiles() {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  // Empty: the kernel has no AppArmor.
  [[nodiscard]] std::string file() const { return directory_.empty() ? "" : directory_ + "/profiles"; }

 private:
  std::string directory_;
};

}  // namespace

int shell(const std::string& command) {
  const int status = std::system(("set -e; " + command).c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string readWhole(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool waitFor(int pidfd, int seconds) {
  pollfd watched{pidfd, POLLIN, 0};
  return ::poll(&watched, 1, patient(seconds * 1000)) == 1;
}

void LauncherTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  if (::access("/usr/bin/mkfs.erofs", X_OK) != 0 || ::access("/bin/busybox", X_OK) != 0) {
    GTEST_SKIP() << "needs erofs-utils and busybox-static";
  }
  std::string pattern = "/tmp/cloister-launcher-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  directory_ = pattern;
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  cgroupRoot_ = "cloister-test-" + std::to_string(::getpid());
  static const AppArmorProfiles profiles;
  appArmor_ = profiles.file();
  ASSERT_EQ(shell(CLOISTER_UPPER_POOL " " + path("pool") + " 512"), 0);
  startLauncher();
  if (HasFatalFailure()) return;
  base_ = makeLayer("base", "true");
  launcher::TenantPutRequest tenant;
  tenant.tenant = 7;
  tenant.limits = {.memoryBytes = 512U << 20U, .cpuMillis = 2000, .pids = 256, .networkBitsPerSecond = 0};
  auto put = client_->putTenant(tenant);
  ASSERT_TRUE(put) << put.error().message();
}

void LauncherTest::startLauncher() {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
  UniqueFd readEnd(ready[0]);
  UniqueFd writeEnd(ready[1]);
  const bool first = !netns_.valid();
  launcher_ = ::fork();
  ASSERT_GE(launcher_, 0);
  if (launcher_ == 0) {
    if ((first ? ::unshare(CLONE_NEWNET) : ::setns(netns_.get(), CLONE_NEWNET)) != 0) ::_exit(90);
    ::dup2(writeEnd.get(), 1);
    executeLauncher({});
  }
  writeEnd.reset();
  char byte = 0;
  ASSERT_EQ(::read(readEnd.get(), &byte, 1), 1) << "the launcher did not start";
  // Held by us, so that a launcher that is killed and started again finds its links.
  if (first) netns_.reset(::open(("/proc/" + std::to_string(launcher_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  client_ = std::make_unique<sandbox::LauncherClient>(path("run") + "/launcher.sock");
}

void LauncherTest::executeLauncher(std::vector<std::string> options) const {
  for (const auto& [option, value] : {std::pair<std::string, std::string>{"--run", path("run")},
                                      {"--store", path("store")},
                                      {"--cgroup-root", cgroupRoot_},
                                      {"--pool", path("pool")},
                                      {"--uppers", uppers_},
                                      {"--apparmor", appArmor_}}) {
    if (!value.empty()) options.insert(options.end(), {option, value});
  }
  std::vector<char*> arguments{const_cast<char*>("cloister-launcher")};
  for (auto& option : options) arguments.push_back(option.data());
  arguments.push_back(nullptr);
  ::execv(CLOISTER_LAUNCHER, arguments.data());
  ::_exit(91);
}

std::string LauncherTest::refusalToStart(std::vector<std::string> options) {
  const pid_t child = ::fork();
  if (child == 0) {
    const int errors = ::open(path("errors").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ::dup2(errors, 2);
    if (::setns(netns_.get(), CLONE_NEWNET) != 0) ::_exit(90);
    executeLauncher(std::move(options));
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  return readWhole(path("errors"));
}

void LauncherTest::killLauncher(int signal) {
  ASSERT_EQ(::kill(launcher_, signal), 0);
  ASSERT_EQ(::waitpid(launcher_, nullptr, 0), launcher_);
  launcher_ = -1;
}

int LauncherTest::purge() {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setns(netns_.get(), CLONE_NEWNET) != 0) ::_exit(90);
    executeLauncher({"--purge"});
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void LauncherTest::TearDown() {
  if (directory_.empty()) return;
  client_.reset();
  if (launcher_ > 0) killLauncher(SIGTERM);
  EXPECT_EQ(purge(), 0);
  for (int wait = 0; wait < patient(100) && !poolDevices().empty(); ++wait) ::usleep(10'000);
  EXPECT_TRUE(poolDevices().empty());
  EXPECT_TRUE(groups().empty()) << groups().front();
  std::filesystem::remove_all(directory_);
}

std::vector<std::string> LauncherTest::groups() const {
  const std::filesystem::path mounted = "/sys/fs/cgroup";  // itself where v2 is alone, else a directory a hierarchy
  std::vector<std::string> found;
  if (std::filesystem::exists(mounted / cgroupRoot_)) found.push_back(mounted / cgroupRoot_);
  for (const auto& entry : std::filesystem::directory_iterator(mounted)) {
    const auto group = entry.path() / cgroupRoot_;
    if (std::filesystem::exists(group)) found.push_back(group);
  }
  return found;
}

std::vector<std::string> LauncherTest::poolDevices() const {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
    if (readWhole(entry.path() / "loop/backing_file").starts_with(path("pool.live"))) {
      found.push_back(entry.path().filename());
    }
  }
  return found;
}

std::string LauncherTest::makeLayer(const std::string& name, const std::string& script) {
  const std::string root = path(name + ".root");
  const std::string image = path(name + ".erofs");
  const std::string prepare = name == "base"
                                  ? "mkdir -p $ROOT/bin $ROOT/etc $ROOT/proc $ROOT/dev $ROOT/sys $ROOT/tmp $ROOT/app "
                                    "$ROOT/usr/bin; cp /bin/busybox $ROOT/bin/; chmod 1777 $ROOT/tmp; "
                                    "chown 1000:1000 $ROOT/app; for a in sh cat id ls dd sleep echo mkdir kill ps "
                                    "readlink mknod touch wc head stat grep env ip ping nc; do ln -s busybox "
                                    "$ROOT/bin/$a; done; "
                                  : "mkdir -p $ROOT; ";
  const std::string pack = "mkfs.erofs --quiet -zlz4 " + image + " $ROOT >/dev/null";
  EXPECT_EQ(shell("ROOT=" + root + "; export ROOT; " + prepare + script + "; " + pack), 0);
  const std::string sum = path(name + ".sum");
  EXPECT_EQ(shell("sha256sum " + image + " | cut -c1-64 | tr -d '\\n' > " + sum), 0);
  const std::string digest = readWhole(sum);
  const UniqueFd file(::open(image.c_str(), O_RDONLY | O_CLOEXEC));
  const Status mounted = client_->mountLayer(digest, file.get());
  EXPECT_TRUE(mounted) << mounted.error().message();
  return digest;
}

launcher::LaunchRequest LauncherTest::request(const std::string& instance, const std::string& command) const {
  launcher::LaunchRequest request;
  request.instance = instance;
  request.tenant = 7;
  request.layers = {base_};
  request.hostname = "test";
  request.argv = {"/bin/sh", "-c", command};
  request.environment = {"PATH=/bin", "HOME=/app"};
  request.workingDirectory = "/app";
  request.address = subnetOf(7) + 10;
  request.limits = {.memoryBytes = 64U << 20U,
                    .cpuMillis = 1000,
                    .pids = 32,
                    .diskBytes = 4U << 20U,
                    .inodes = 1024,
                    .openFiles = 128};
  return request;
}

Result<sandbox::Container> LauncherTest::launch(const launcher::LaunchRequest& request) {
  const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(path(request.instance + ".out").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  const UniqueFd status(
      ::open(path(request.instance + ".status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const UniqueFd image(
      request.confinement == launcher::Confinement::freeze
          ? ::open(path(request.instance + ".image").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
          : -1);
  if (image.valid()) ::fchmod(image.get(), 0666);
  return client_->launch(request, {in.get(), out.get(), out.get(), status.get(), image.get()});
}

std::string LauncherTest::output(const std::string& instance) const {
  return readWhole(path(instance + ".out"));
}

Outcome LauncherTest::finish(const std::string& instance, const sandbox::Container& container) {
  EXPECT_TRUE(waitFor(container.descriptor(launcher::DescriptorKind::pid), 20)) << instance << " did not end";
  Outcome outcome{readWhole(path(instance + ".status")), output(instance)};
  const Status removed = client_->remove(instance);
  EXPECT_TRUE(removed) << removed.error().message();
  return outcome;
}

Outcome LauncherTest::exec(const std::string& instance, std::vector<std::string> argv, launcher::ExecRequest exec) {
  exec.instance = instance;
  exec.exec = "exec-" + std::to_string(++execs_);
  exec.argv = std::move(argv);
  exec.environment = {"PATH=/bin"};
  exec.workingDirectory = "/app";
  const std::string name = path(instance + ".exec");
  const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open((name + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  const UniqueFd status(::open((name + ".status").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  auto handle = client_->exec(exec, {in.get(), out.get(), out.get(), status.get(), -1});
  EXPECT_TRUE(handle) << handle.error().message();
  if (!handle) return {};
  EXPECT_TRUE(waitFor(handle->pidfd.get(), 20)) << instance << ": the command did not end";
  return {readWhole(name + ".status"), readWhole(name + ".out")};
}

Outcome LauncherTest::run(const launcher::LaunchRequest& request) {
  auto container = launch(request);
  EXPECT_TRUE(container) << container.error().message();
  return container ? finish(request.instance, *container) : Outcome{};
}

}  // namespace cloister::test
