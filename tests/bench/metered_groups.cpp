#include "tests/bench/metered_groups.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "sandbox/base/files.h"

namespace cloister::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr launcher::TenantLimits kOfATenant{8ULL << 30U, 2000, 10'000, 0};

TenantIndex tenantOf(unsigned i) {
  return 1 + i;
}

template <typename T>
T good(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(result).value();
}

UniqueFd openUnified(const cgroups::Group& group, std::string_view file, int flags) {
  for (const auto& [kind, directory] : group.directories) {
    if (kind == launcher::DescriptorKind::unified) return good(files::openAt(directory.get(), file, flags));
  }
  throw std::runtime_error("no unified group");
}

// A line each thousand: making and removing that many takes a slow machine minutes.
class Progress {
 public:
  explicit Progress(const char* what) : what_(what) {}
  void add() {
    if (++done_ % 1000 != 0) return;
    const auto took = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin_);
    std::fprintf(stderr, "%s %u groups (%lld s)\n", what_, done_, static_cast<long long>(took.count()));
  }

 private:
  const char* what_;
  unsigned done_ = 0;
  Clock::time_point begin_ = Clock::now();
};

void end(pid_t child) {
  if (child <= 0) return;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace

MeteredGroups::MeteredGroups(unsigned wanted)
    : tree_(good(cgroups::Tree::open("cloister-bench-" + std::to_string(::getpid()), "/tmp"))) {
  Progress progress("made");
  for (unsigned i = 0; i < wanted; ++i) {
    if (auto put = tree_->putTenant(tenantOf(i), kOfATenant); !put) end_ = put.error().message();
    auto made = tree_->createInstance(tenantOf(i), nameOf(i), {64ULL << 20U, 1000, 32, 16ULL << 20U, 1000, 256});
    if (!made) end_ = made.error().message();
    if (!end_.empty()) return;
    inodes_.push_back(made->inode);
    progress.add();
  }
}

MeteredGroups::~MeteredGroups() {
  rest();
  end(holder_);
  Progress progress("removed");
  for (unsigned i = 0; i < inodes_.size(); ++i) {
    (void)tree_->removeInstance(tenantOf(i), nameOf(i), 1000);
    progress.add();
  }
  if (auto gone = tree_->removeAll(); !gone) std::fprintf(stderr, "%s\n", gone.error().message().c_str());
}

void MeteredGroups::charge() {
  std::array<int, 2> done{};
  if (::pipe2(done.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const UniqueFd readEnd(done[0]);
  UniqueFd writeEnd(done[1]);
  holder_ = ::fork();
  if (holder_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Progress progress("charged");
    for (unsigned i = 0; i < inodes_.size(); ++i) {
      (void)tree_->join(open(i), ::getpid(), cgroups::Tree::Born::elsewhere);
      auto* page =
          static_cast<char*>(::mmap(nullptr, 65'536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (page == MAP_FAILED) ::_exit(1);
      for (int at = 0; at < 65'536; at += 4096) page[at] = 1;
      progress.add();
    }
    if (::write(done[1], "d", 1) != 1) ::_exit(2);
    for (;;) ::pause();
  }
  writeEnd.reset();
  char byte = 0;
  if (holder_ < 0 || ::read(readEnd.get(), &byte, 1) != 1) throw std::runtime_error("groups cannot be joined");
}

void MeteredGroups::work(unsigned count, std::chrono::milliseconds second) {
  std::vector<UniqueFd> doors;
  for (unsigned i = 0; i < count; ++i) doors.push_back(openUnified(open(i), "cgroup.procs", O_WRONLY));
  worker_ = ::fork();
  if (worker_ < 0) throw std::runtime_error("fork failed");
  if (worker_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (auto next = Clock::now();; std::this_thread::sleep_until(next)) {
    next += second;
    for (const auto& door : doors) {
      if (::write(door.get(), "0", 1) != 1) ::_exit(1);
      const auto until = Clock::now() + std::chrono::microseconds(20);
      while (Clock::now() < until) {
      }
    }
  }
}

void MeteredGroups::rest() {
  end(std::exchange(worker_, -1));
}

cgroups::Group MeteredGroups::open(unsigned i) const {
  return good(tree_->openInstance(tenantOf(i), nameOf(i)));
}

UniqueFd MeteredGroups::cpuOfTenant(unsigned i) const {
  return openUnified(open(i), "../cpu.stat", O_RDONLY);
}

const char* MeteredGroups::layout() const {
  return tree_->layout() == cgroups::Layout::unified ? "v2" : "v1 beside v2";
}

}  // namespace cloister::bench
