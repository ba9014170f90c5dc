#include "tests/escape/arena.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <sstream>
#include <thread>

#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

constexpr const char* kMarkers[] = {"/tmp/cloister-escape", "/cloister-escape", "/tmp/payload"};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string contentOf(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return "absent";
  return readWhole(path);
}

// Mounts of the host where an escaped container could have put something.
std::string mountsOverSystemPlaces() {
  std::istringstream table(readWhole("/proc/self/mountinfo"));
  std::string found;
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string skipped;
    std::string where;
    fields >> skipped >> skipped >> skipped >> skipped >> where;
    for (const char* place : {"/proc", "/sys/kernel", "/dev", "/etc"}) {
      if (where.starts_with(place)) found += where + "\n";
    }
  }
  return found;
}

}  // namespace

const char* nameOf(Role role) {
  switch (role) {
    case Role::app:
      return "app";
    case Role::build:
      return "build";
    case Role::exec:
      break;
  }
  return "exec";
}

std::map<std::string, std::string> hostState() {
  std::map<std::string, std::string> state;
  for (const char* path : {"/proc/sys/kernel/core_pattern",
                           "/proc/sys/kernel/modprobe",
                           "/proc/sys/kernel/hotplug",
                           "/proc/sys/kernel/hostname",
                           "/proc/sys/kernel/domainname",
                           "/proc/sys/kernel/poweroff_cmd",
                           "/proc/sys/kernel/ctrl-alt-del",
                           "/proc/sys/kernel/randomize_va_space",
                           "/proc/sys/fs/suid_dumpable",
                           "/proc/sys/fs/binfmt_misc/status",
                           "/proc/sys/user/max_user_namespaces",
                           "/sys/kernel/uevent_helper",
                           "/sys/kernel/kexec_loaded",
                           "/proc/swaps",
                           "/etc/passwd",
                           "/etc/shadow",
                           "/etc/hosts",
                           "/etc/hostname",
                           "/etc/resolv.conf",
                           "/etc/ld.so.preload",
                           "/sys/fs/cgroup/memory/release_agent",
                           "/sys/fs/cgroup/systemd/release_agent"}) {
    state[path] = contentOf(path);
  }
  for (const char* marker : kMarkers) state[marker] = ::access(marker, F_OK) == 0 ? "there" : "absent";
  for (const char* binary : {CLOISTER_LAUNCHER, CLOISTER_INIT}) {
    state[binary] = std::to_string(std::hash<std::string>{}(readWhole(binary)));
  }
  struct stat null {};
  state["/dev/null"] =
      ::stat("/dev/null", &null) == 0
          ? std::to_string(null.st_mode) + " " + std::to_string(null.st_uid) + " " + std::to_string(null.st_rdev)
          : "absent";
  state["mounts"] = mountsOverSystemPlaces();
  return state;
}

void Arena::SetUp() {
  LauncherTest::SetUp();
  if (HasFatalFailure() || IsSkipped()) return;
  putTenant(attacker_);
  putTenant(neighbour_);
  before_ = hostState();
}

void Arena::TearDown() {
  if (client_) {
    const auto posture = client_->posture();
    EXPECT_TRUE(posture) << "the launcher does not answer: " << posture.error().message();
    const auto after = hostState();
    for (const auto& [name, value] : before_) EXPECT_EQ(after.at(name), value) << name << " of the host changed";
  }
  LauncherTest::TearDown();
  if (before_.empty()) return;
  expectNoProcessOf(attacker_);
  expectNoProcessOf(neighbour_);
}

void Arena::putTenant(TenantIndex tenant, launcher::Egress egress) {
  launcher::TenantPutRequest put;
  put.tenant = tenant;
  put.egress = egress;
  put.limits = {.memoryBytes = 512U << 20U, .cpuMillis = 2000, .pids = 256, .networkBitsPerSecond = 0};
  const auto done = client_->putTenant(put);
  ASSERT_TRUE(done) << done.error().message();
}

void Arena::addLayer(const std::string& name, const std::string& script) {
  layers_.insert(layers_.begin(), makeLayer(name, script));
}

launcher::LaunchRequest Arena::attackRequest(const std::string& attack, Role role,
                                             const std::vector<std::string>& arguments) {
  std::string name = attack + "-" + std::to_string(++started_);
  std::replace(name.begin(), name.end(), '_', '-');
  launcher::LaunchRequest request = this->request(name, "sleep 600");
  request.tenant = attacker_;
  request.address = subnetOf(attacker_) + 10 + static_cast<Ipv4>(started_ % 200);
  request.layers = layers_;
  std::string& digest = attackLayers_[attack];
  if (digest.empty()) {
    digest = makeLayer(attack, "mkdir -p $ROOT/attack; cp " CLOISTER_ATTACKS + attack + " $ROOT/attack/" + attack);
  }
  request.layers.insert(request.layers.begin(), digest);
  request.layers.push_back(base_);
  request.workingDirectory = "/";
  if (role == Role::build) request.confinement = launcher::Confinement::build;
  if (role != Role::exec) {
    request.argv = {"/attack/" + attack};
    request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
  }
  return request;
}

Running Arena::startRequest(const launcher::LaunchRequest& request) {
  Running running;
  running.instance = request.instance;
  running.output = path(request.instance + ".out");
  running.status = path(request.instance + ".status");
  auto container = launch(request);
  EXPECT_TRUE(container) << request.instance << ": " << container.error().message();
  if (!container) return running;
  running.pidfd.reset(::fcntl(container->descriptor(launcher::DescriptorKind::pid), F_DUPFD_CLOEXEC, 0));
  running.container = std::move(*container);
  return running;
}

Running Arena::start(const std::string& attack, Role role, const std::vector<std::string>& arguments) {
  Running running = startRequest(attackRequest(attack, role, arguments));
  if (role != Role::exec || !running.container) return running;
  std::vector<std::string> argv = {"/attack/" + attack};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  Running inside = execIn(running.instance, argv);
  inside.container = std::move(running.container);
  return inside;
}

Running Arena::execIn(const std::string& instance, const std::vector<std::string>& argv, const std::string& directory) {
  const std::string name = instance + "-exec" + std::to_string(++started_);
  Running running;
  running.instance = instance;
  running.output = path(name + ".out");
  running.status = path(name + ".status");
  launcher::ExecRequest request;
  request.instance = instance;
  request.exec = "exec-" + std::to_string(started_);
  request.argv = argv;
  request.environment = {"PATH=/bin"};
  request.workingDirectory = directory;
  const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(running.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  const UniqueFd status(::open(running.status.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  auto handle = client_->exec(request, {in.get(), out.get(), out.get(), status.get(), -1});
  EXPECT_TRUE(handle) << instance << ": " << handle.error().message();
  if (handle) running.pidfd = std::move(handle->pidfd);
  return running;
}

void Arena::expectHeld(const Running& running) {
  if (!running.pidfd) return;  // its start has failed the test already
  EXPECT_TRUE(waitFor(running.pidfd.get(), 60)) << running.instance << " did not end";
  const std::string said = readWhole(running.output);
  if (contains(said, "skipped: ")) GTEST_SKIP() << said.substr(said.find("skipped: ") + 9);
  EXPECT_EQ(readWhole(running.status), "exit 0\n") << said;
  EXPECT_TRUE(said.ends_with("held\n")) << said;
  EXPECT_FALSE(contains(said, "escaped: ")) << said;
}

void Arena::expectRemoved(const Running& running) {
  const Status removed = client_->remove(running.instance);
  EXPECT_TRUE(removed) << removed.error().message();
  if (running.container) {
    EXPECT_TRUE(waitFor(running.container->descriptor(launcher::DescriptorKind::pid), 5)) << running.instance;
  }
}

void Arena::attack(const std::string& attack, Role role, const std::vector<std::string>& arguments) {
  const Running running = start(attack, role, arguments);
  expectHeld(running);
  if (running.container) expectRemoved(running);
}

bool Arena::says(const Running& running, const std::string& text, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(patient(seconds));
  for (;;) {
    const bool ended = waitFor(running.pidfd.get(), 0);
    if (contains(readWhole(running.output), text)) return true;
    if (ended || std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<pid_t> Arena::processesOf(TenantIndex tenant) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) != 0) continue;
    // A process that cannot be dumped is root's there; its status tells the truth.
    std::istringstream status(readWhole(entry.path() / "status"));
    for (std::string line; std::getline(status, line);) {
      if (!line.starts_with("Uid:")) continue;
      std::istringstream ids(line.substr(4));
      for (std::uint64_t id = 0; ids >> id;) {
        if (id < firstUid(tenant) || id >= firstUid(tenant) + kUidsPerTenant) continue;
        found.push_back(std::stoi(name));
        break;
      }
    }
  }
  return found;
}

void Arena::expectNoProcessOf(TenantIndex tenant) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(patient(5));
  while (!processesOf(tenant).empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(processesOf(tenant).empty()) << "processes of tenant " << tenant << " outlived it";
}

void Arena::expectBystandersFine() {
  EXPECT_EQ(shell(CLOISTER_ATTACKS "bystander > " + path("bystander.out") + " 2>&1"), 0)
      << "the host: " << readWhole(path("bystander.out"));
  auto request = attackRequest("bystander", Role::app);
  request.tenant = neighbour_;
  request.address = subnetOf(neighbour_) + 10 + static_cast<Ipv4>(started_ % 200);
  const Running neighbour = startRequest(request);
  if (!neighbour.container) return;
  EXPECT_TRUE(waitFor(neighbour.pidfd.get(), 30));
  EXPECT_EQ(readWhole(neighbour.status), "exit 0\n") << "the neighbour: " << readWhole(neighbour.output);
  expectRemoved(neighbour);
}

}  // namespace cloister::test
