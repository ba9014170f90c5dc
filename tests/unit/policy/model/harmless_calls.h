// Makes system calls under a filter without any of them happening: what the filter lets through answers an errno of its
// own instead. So the kernel says what a profile opens, however dangerous the call.
//
// Threads: forks; call it from a test that started no thread. Failures: of the test.
#pragma once

#include <linux/seccomp.h>
#include <sys/mman.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {

// What a call answers that would have reached the kernel; no call's own errno.
inline constexpr int kWouldPass = 1234;

struct HarmlessCall {
  seccomp_data call{};
  int answered = 0;
};

// The kernel itself takes these past every filter: they are the trap of its own user-space probes. Where no probe is,
// the first ends the process (SIGILL) and the second answers ENXIO.
inline bool passesEveryFilter(std::uint32_t number) {
  return number == 335 || number == 336;  // uretprobe, uprobe
}

// Fills in every call's answer. They are made in one process under the filter, which can do nothing else then, not even
// end: it dies of its last call, which is x32's.
inline void callAllHarmlessly(std::vector<sock_filter> program, std::span<HarmlessCall> calls) {
  for (auto& one : program) {
    if (one.code == (BPF_RET | BPF_K) && one.k == SECCOMP_RET_ALLOW) one.k = SECCOMP_RET_ERRNO | kWouldPass;
  }
  const std::size_t bytes = calls.size_bytes();
  void* shared = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  const std::span<HarmlessCall> seen(static_cast<HarmlessCall*>(shared), calls.size());
  std::copy(calls.begin(), calls.end(), seen.begin());
  const Ending ending = runFiltered(program, [&] {
    for (auto& [call, answered] : seen) {
      const auto& a = call.args;
      answered = errnoOf(call.nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    constexpr long kX32 = 0x40000000;
    (void)errnoOf(kX32);
    return 0;
  });
  EXPECT_EQ(ending.signal, SIGSYS) << "exit " << ending.code;
  std::copy(seen.begin(), seen.end(), calls.begin());
  ::munmap(shared, bytes);
}

}  // namespace cloister::policy
