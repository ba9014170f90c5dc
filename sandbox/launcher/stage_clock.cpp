#include "sandbox/launcher/stage_clock.h"

#include <sys/mman.h>

#include <new>

namespace cloister::launcher {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "two processes share it");

void StageClock::Unmap::operator()(Readings* readings) const {
  ::munmap(readings, sizeof *readings);
}

StageClock::StageClock() : begin_(Clock::now()) {
  void* page = ::mmap(nullptr, sizeof(Readings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) readings_.reset(new (page) Readings{});
}

void StageClock::mark(LaunchStage stage) {
  if (!readings_) return;
  const auto passed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_).count();
  readings_->at(static_cast<std::size_t>(stage)).store(static_cast<std::uint32_t>(passed), std::memory_order_relaxed);
}

std::vector<std::uint32_t> StageClock::read() const {
  std::vector<std::uint32_t> micros;
  if (!readings_) return micros;
  for (const auto& reading : *readings_) micros.push_back(reading.load(std::memory_order_relaxed));
  return micros;
}

}  // namespace cloister::launcher
