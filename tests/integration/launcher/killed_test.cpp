// kill -9 of the launcher at every stage of a launch: what the next one finds, it can clear, and then nothing is left.
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVictim = "victim";

// How many of them: a run by hand may ask for more.
int wanted(int usual) {
  const char* asked = std::getenv("CLOISTER_TEST_KILLS");  // NOLINT(concurrency-mt-unsafe): no thread changes it
  return asked == nullptr ? usual : std::max(1, std::atoi(asked));
}

class KilledLauncher : public LauncherTest {
 protected:
  void TearDown() override {
    if (launch_.joinable()) launch_.join();
    LauncherTest::TearDown();
  }

  // A launch in a thread of its own, because the launcher may never answer it.
  void beginLaunch() {
    if (launch_.joinable()) launch_.join();
    launched_ = false;
    launch_ = std::thread([this] {
      (void)launch(request(kVictim, "sleep 60"));
      launched_ = true;
    });
  }

  void killAndRecover(const std::string& when) {
    killLauncher(SIGKILL);
    launch_.join();
    startLauncher();
    ASSERT_FALSE(HasFatalFailure());
    auto found = client_->recover();
    ASSERT_TRUE(found) << when << ": " << found.error().message();
    EXPECT_LE(found->size(), 1U) << when;
    found->clear();  // its descriptors would keep the network namespace, and so the link
    const Status removed = client_->remove(kVictim);
    EXPECT_TRUE(removed) << when << ": " << removed.error().message();
    for (int patience = 0; patience < 100 && !leftovers().empty(); ++patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // what was killed is still ending
    }
    for (const auto& left : leftovers()) ADD_FAILURE() << when << ": " << left;
  }

  // Everything of the victim's, and of a launcher other than the one that runs.
  [[nodiscard]] std::vector<std::string> leftovers() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path("run") + "/containers"))
      found.push_back("record " + entry.path().string());
    for (const auto& root : groups()) {
      for (const auto& entry : fs::recursive_directory_iterator(root)) {
        if (entry.is_directory() && entry.path().filename() == kVictim)
          found.push_back("group " + entry.path().string());
      }
    }
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const pid_t pid = std::atoi(entry.path().filename().c_str());
      if (pid <= 0 || pid == launcher_ || pid == ::getpid()) continue;
      // A child of the launcher has its command line until it becomes cloister-init, and its group from then on.
      // Helpers of the launcher that runs keep it.
      const bool own =
          readWhole(entry.path().string() + "/status").find("\nPPid:\t" + std::to_string(launcher_) + "\n") !=
          std::string::npos;
      const bool copy = !own && readWhole(entry.path().string() + "/cmdline").find(path("run")) != std::string::npos;
      const bool member = readWhole(entry.path().string() + "/cgroup").find(cgroupRoot_ + "/") != std::string::npos;
      if (copy || member)
        found.push_back("process " + std::to_string(pid) + " " + readWhole(entry.path().string() + "/comm"));
    }
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      if (line.find(directory_) != std::string::npos) found.push_back("mount " + line);
    }
    const std::string inside =
        "nsenter --net=/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(netns_.get());
    EXPECT_EQ(shell(inside + " ip -o link > " + path("links")), 0);
    if (readWhole(path("links")).find(": cv") != std::string::npos) found.push_back("link " + readWhole(path("links")));
    return found;
  }

  std::thread launch_;
  std::atomic<bool> launched_{false};
};

// Stops the launcher at each of its system calls, for as long as it lives or until done() holds.
class Stepper {
 public:
  explicit Stepper(pid_t launcher) : launcher_(launcher) {
    EXPECT_EQ(::ptrace(PTRACE_SEIZE, launcher_, nullptr, PTRACE_O_TRACESYSGOOD), 0) << errno;
    EXPECT_EQ(::ptrace(PTRACE_INTERRUPT, launcher_, nullptr, nullptr), 0) << errno;
    int status = 0;
    EXPECT_EQ(::waitpid(launcher_, &status, __WALL), launcher_);
    EXPECT_EQ(::ptrace(PTRACE_SYSCALL, launcher_, nullptr, nullptr), 0) << errno;
  }
  // The next entry or exit of a system call; false when there was none before `done`.
  template <typename Done>
  bool step(const Done& done) {
    for (;;) {
      int status = 0;
      const pid_t stopped = ::waitpid(launcher_, &status, __WALL | WNOHANG);
      if (stopped == 0) {
        if (done()) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        continue;
      }
      if (stopped < 0 || !WIFSTOPPED(status)) return false;
      const int number = WSTOPSIG(status);
      if (number == (SIGTRAP | 0x80)) return true;
      // A signal of its own goes on to it; a stop of ptrace's does not.
      const bool own = (status >> 16) == 0 && number != SIGTRAP;
      resume(own ? number : 0);
    }
  }
  void resume(int signal = 0) { ::ptrace(PTRACE_SYSCALL, launcher_, nullptr, static_cast<long>(signal)); }

 private:
  pid_t launcher_;
};

TEST_F(KilledLauncher, AtEverySystemCallOfALaunchLeavesNothing) {
  // How many stops a launch has.
  int stops = 0;
  {
    Stepper stepper(launcher_);
    beginLaunch();
    for (; stepper.step([this] { return launched_.load(); }); ++stops) stepper.resume();
  }
  killAndRecover("after the launch");
  ASSERT_GT(stops, 100);
  const int stride = std::max(1, stops / wanted(20));
  RecordProperty("stops", stops);
  RecordProperty("stride", stride);
  for (int last = 1; last < stops && !HasFatalFailure(); last += stride) {
    Stepper stepper(launcher_);
    beginLaunch();
    for (int stop = 0; stop < last && stepper.step([this] { return launched_.load(); }); ++stop) {
      if (stop + 1 < last) stepper.resume();
    }
    killAndRecover("at stop " + std::to_string(last) + " of " + std::to_string(stops));
  }
}

TEST_F(KilledLauncher, AtAnyMomentOfALaunchLeavesNothing) {
  const auto begin = std::chrono::steady_clock::now();
  beginLaunch();
  launch_.join();
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  launch_ = std::thread([] {});
  killAndRecover("after the launch");
  std::mt19937 random(::testing::UnitTest::GetInstance()->random_seed() == 0
                          ? 20'261'124U
                          : static_cast<unsigned>(::testing::UnitTest::GetInstance()->random_seed()));
  for (int round = 0; round < wanted(20) && !HasFatalFailure(); ++round) {
    const std::chrono::microseconds delay(random() % static_cast<unsigned>(whole.count() + 1));
    beginLaunch();
    std::this_thread::sleep_for(delay);
    killAndRecover("after " + std::to_string(delay.count()) + " us of " + std::to_string(whole.count()));
  }
}

}  // namespace
}  // namespace cloister::test
