#include "policy/model/answered_calls.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "sandbox/base/live_views.h"

namespace cloister::policy {

std::vector<sock_filter> withAnsweredCalls(const std::vector<sock_filter>& filter) {
  constexpr auto kLoad = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto kEqual = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto kReturn = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  // Another architecture's numbers mean other calls: past the return, to the filter's own verdict. The length of a mask
  // is an unsigned int: its low half, which is all that is compared.
  constexpr std::array<sock_filter, 9> kFront = {{{kLoad, 0, 0, offsetof(seccomp_data, arch)},
                                                  {kEqual, 0, 7, AUDIT_ARCH_X86_64},
                                                  {kLoad, 0, 0, offsetof(seccomp_data, nr)},
                                                  {kEqual, 4, 0, SYS_sysinfo},
                                                  {kEqual, 1, 0, SYS_sched_getaffinity},
                                                  {kEqual, 0, 3, SYS_sched_setaffinity},
                                                  {kLoad, 0, 0, offsetof(seccomp_data, args[1])},
                                                  {kEqual, 1, 0, kKernelMaskBytes},
                                                  {kReturn, 0, 0, SECCOMP_RET_USER_NOTIF}}};
  std::vector<sock_filter> whole(kFront.begin(), kFront.end());
  whole.insert(whole.end(), filter.begin(), filter.end());
  return whole;
}

}  // namespace cloister::policy
