// Floods: a container takes all it can of something and keeps it, while a neighbour and the host go on with their own.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/escape/arena.h"
#include "tests/integration/patience.h"

namespace cloister::test {
namespace {

using launcher::DescriptorKind;

constexpr std::uint64_t kMiB = 1U << 20U;

struct Flood {
  const char* title;
  const char* program;
  std::vector<std::string> arguments;
  std::uint64_t memory = 64 * kMiB;
};

void PrintTo(const Flood& flood, std::ostream* out) {
  *out << flood.title;
}

class Floods : public Arena {
 protected:
  launcher::LaunchRequest floodRequest(const Flood& flood, Role role) {
    auto request = attackRequest(flood.program, role, flood.arguments);
    request.limits.memoryBytes = flood.memory;
    return request;
  }

  // A counter of the group, by its name in the unified tree or in a hierarchy of version 1.
  static std::uint64_t counter(const Running& running, DescriptorKind kind, const char* unified, const char* legacy) {
    const int own = running.container->descriptor(kind);
    const int directory = own >= 0 ? own : running.container->descriptor(DescriptorKind::unified);
    const UniqueFd file(::openat(directory, own >= 0 ? legacy : unified, O_RDONLY | O_CLOEXEC));
    std::array<char, 64> text{};
    const ssize_t got = ::read(file.get(), text.data(), text.size());
    std::uint64_t value = ~0ULL;
    if (got > 0) std::from_chars(text.data(), text.data() + got, value);
    return value;
  }
  static void expectCountersBounded(const Running& running, const launcher::LaunchRequest& request) {
    if (waitFor(running.pidfd.get(), 0)) return;  // its counters may have gone with it
    EXPECT_LE(counter(running, DescriptorKind::pids, "pids.current", "pids.current"), request.limits.pids);
    EXPECT_LE(counter(running, DescriptorKind::memory, "memory.current", "memory.usage_in_bytes"),
              request.limits.memoryBytes);
  }
  void end(const Running& running) {
    EXPECT_TRUE(client_->signal({running.instance, SIGTERM, launcher::SignalTarget::init}));
    expectHeld(running);
    expectRemoved(running);
  }
};

class Held : public Floods, public ::testing::WithParamInterface<Flood> {};

// What is taken ends at a bound of the container's own, and is there for others.
TEST_P(Held, LeavesTheOthersTheirs) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const auto request = floodRequest(GetParam(), role);
    const Running flood = startRequest(request);
    ASSERT_TRUE(flood.container);
    ASSERT_TRUE(says(flood, "holding: ", 60)) << output(request.instance) << readWhole(flood.status);
    expectCountersBounded(flood, request);
    expectBystandersFine();
    end(flood);
  }
}

// The bounds are those of LauncherTest::request() and of policy/model/budgets.h.
INSTANTIATE_TEST_SUITE_P(
    Of, Held,
    ::testing::Values(Flood{"Processes", "fork_flood", {"32"}}, Flood{"Descriptors", "descriptor_flood", {"128"}},
                      Flood{"Terminals", "pty_flood", {"16"}}, Flood{"Signals", "signal_flood", {"4096"}},
                      Flood{"Watches", "inotify_flood", {}}, Flood{"Pipes", "pipe_flood", {"67108864"}, 128 * kMiB},
                      Flood{"Queues", "queue_flood", {"64"}, 128 * kMiB},
                      Flood{"Disk", "disk_flood", {"/app", "4194304", "1024"}},
                      Flood{"TemporaryFiles", "disk_flood", {"/tmp", "4194304", "1024"}},
                      Flood{"SharedMemoryFiles", "disk_flood", {"/dev/shm", "67108864", "4096"}, 256 * kMiB}),
    [](const auto& instance) { return std::string(instance.param.title); });

// Memory: whoever takes too much is ended, or the whole container is; either way the group's bound holds.
class Memory : public Floods, public ::testing::WithParamInterface<const char*> {};

TEST_P(Memory, StaysWithinTheGroup) {
  constexpr std::array kWays = {"Anonymous", "Files", "SystemV", "Sockets", "PipePages"};
  const auto way = std::find(kWays.begin(), kWays.end(), std::string(GetParam())) - kWays.begin();
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const auto request = floodRequest({GetParam(), "memory_flood", {std::to_string(way)}}, role);
    const Running flood = startRequest(request);
    ASSERT_TRUE(flood.container);
    // A group that is full of what nobody owns may leave its processes waiting; that is theirs.
    (void)says(flood, "holding: ", 15);
    expectCountersBounded(flood, request);
    expectBystandersFine();
    expectRemoved(flood);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Memory, ::testing::Values("Anonymous", "Files", "SystemV", "Sockets", "PipePages"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_F(Floods, AForkBombEndsWithItsContainer) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const auto request = floodRequest({"Bomb", "fork_bomb", {}}, role);
    const Running bomb = startRequest(request);
    ASSERT_TRUE(bomb.container);
    ASSERT_TRUE(says(bomb, "bombing"));
    expectBystandersFine();
    expectRemoved(bomb);
    expectNoProcessOf(attacker_);
  }
}

// The node's end of a container's output is a pipe. Nobody reads here: the flood waits, at no cost but the pipe's.
TEST_F(Floods, OutputThatNobodyReadsIsAFullPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const auto request = floodRequest({"Output", "output_flood", {}}, Role::app);
  const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd status(::open(path("flood.status").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  auto container = client_->launch(request, {in.get(), writer.get(), writer.get(), status.get(), -1});
  ASSERT_TRUE(container) << container.error().message();
  writer.reset();
  Running flood;
  flood.instance = request.instance;
  flood.container = std::move(*container);
  ASSERT_TRUE(waitFor(reader.get(), 20));
  expectBystandersFine();
  expectCountersBounded(flood, request);
  EXPECT_FALSE(waitFor(flood.container->descriptor(DescriptorKind::pid), 0)) << "it waits";
  expectRemoved(flood);
}

// A setting of the host for a moment.
class Setting {
 public:
  Setting(std::string path, const std::string& value) : path_(std::move(path)), before_(readWhole(path_)) {
    write(value);
  }
  ~Setting() { write(before_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  void write(const std::string& text) const {
    std::ofstream file(path_);
    file << text;
    EXPECT_TRUE(file.flush()) << path_ << ": " << text;
  }
  std::string path_;
  std::string before_;
};

// Where core_pattern names a program, the kernel starts it as the host's root for each crash.
TEST_F(Floods, CrashesStartNothingOnTheHost) {
  const std::string helper = path("helper");
  std::ofstream(helper) << "#!/bin/sh\necho \"$@\" >> " << path("helper-ran") << "\n";
  ASSERT_EQ(::chmod(helper.c_str(), 0755), 0);
  {
    const Setting pattern("/proc/sys/kernel/core_pattern", "|" + helper + " %u %P");
    ASSERT_NE(shell("sh -c 'ulimit -c unlimited; kill -SEGV $$' 2>/dev/null"), 0);
    for (int tries = 0; tries < 100 && ::access(path("helper-ran").c_str(), F_OK) != 0; ++tries) ::usleep(20'000);
    EXPECT_EQ(::access(path("helper-ran").c_str(), F_OK), 0) << "control: a crash of the host's starts it";
    for (const Role role : kRoles) {
      SCOPED_TRACE(nameOf(role));
      attack("core_flood", role);
    }
  }
  std::ifstream ran(path("helper-ran"));
  for (std::uint64_t uid = 0; ran >> uid; ran.ignore(64, '\n')) {
    EXPECT_FALSE(uid >= firstUid(attacker_) && uid < firstUid(neighbour_)) << "the host worked for user " << uid;
  }
}

TEST_F(Floods, HugePagesOfTheHostStayThere) {
  const std::string pool = "/proc/sys/vm/nr_hugepages";
  if (readWhole(pool) != "0\n") GTEST_SKIP() << "huge pages are in use here";
  const Setting pages(pool, "2");
  if (readWhole(pool) == "0\n") GTEST_SKIP() << "this kernel has no huge pages to give";
  for (const Role role : kRoles) {
    SCOPED_TRACE(nameOf(role));
    attack("huge_pages", role);
  }
}

// Processes that want to stay.
class Lasting : public Floods, public ::testing::WithParamInterface<const char*> {};

TEST_P(Lasting, IsGoneWithinThePatience) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    auto request = floodRequest({GetParam(), "unkillable", {GetParam()}}, role);
    request.limits.pids = 64;
    const Running staying = startRequest(request);
    ASSERT_TRUE(staying.container);
    ASSERT_TRUE(says(staying, "staying")) << output(request.instance);
    EXPECT_TRUE(client_->signal({staying.instance, SIGTERM, launcher::SignalTarget::init}));
    EXPECT_FALSE(waitFor(staying.pidfd.get(), 0));
    expectRemoved(staying);
    expectNoProcessOf(attacker_);
  }
}

INSTANTIATE_TEST_SUITE_P(Processes, Lasting,
                         ::testing::Values("ignores", "stopped", "vfork", "respawns", "orphans", "zombies", "busy"),
                         [](const auto& instance) { return std::string(instance.param); });

// A session is a process of the launcher's in the tenant's container. Whatever becomes of it, others are served.
TEST_F(Floods, WhoeverIsStoppedOnEnteringHoldsUpNobody) {
  for (const Role role : kLaunched) {
    SCOPED_TRACE(nameOf(role));
    const Running stopper = startRequest(floodRequest({"Stopper", "stop_entrants", {}}, role));
    ASSERT_TRUE(stopper.container);
    ASSERT_TRUE(says(stopper, "stopping"));
    std::thread sessions([&] {
      sandbox::LauncherClient another(path("run") + "/launcher.sock");
      const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      launcher::ExecRequest request;
      request.instance = stopper.instance;
      request.argv = {"/bin/id"};
      request.workingDirectory = "/";
      for (int i = 0; i < 3; ++i) {
        request.exec = "entrant-" + std::to_string(i);
        (void)another.exec(request, {null.get(), null.get(), null.get(), null.get(), -1});
      }
    });
    const auto begin = std::chrono::steady_clock::now();
    expectBystandersFine();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(patient(5))) << "the neighbour waited";
    expectRemoved(stopper);
    sessions.join();
    expectNoProcessOf(attacker_);
  }
}

TEST_F(Floods, AFrozenContainerIsRemoved) {
  const Running staying = startRequest(floodRequest({"Frozen", "unkillable", {"ignores"}}, Role::app));
  ASSERT_TRUE(staying.container);
  ASSERT_TRUE(says(staying, "staying"));
  EXPECT_TRUE(client_->signal({staying.instance, 0, launcher::SignalTarget::freeze}));
  expectRemoved(staying);
  expectNoProcessOf(attacker_);
}

TEST_F(Floods, WithoutItsInitNothingLives) {
  const Running staying = startRequest(floodRequest({"Orphaned", "unkillable", {"ignores"}}, Role::app));
  ASSERT_TRUE(staying.container);
  ASSERT_TRUE(says(staying, "staying"));
  ASSERT_EQ(::kill(static_cast<pid_t>(staying.container->launched.pid), SIGKILL), 0);
  expectNoProcessOf(attacker_);
  expectRemoved(staying);
}

}  // namespace
}  // namespace cloister::test
