// Keeps the container's files of sandbox/base/live_views.h true: in its first cloister-init, when somebody reads them.
//
//   watchViews(): the leases are taken                        -> kAsleep: no reader, nothing to do
//   a reader opens a file, the kernel sends SIGIO, it waits
//   viewsWereOpened(): texts written, leases let go           -> the reader goes on; keepViews() in a moment
//   keepViews(): texts written again, leases taken again      -> kAsleep, or once more while a file is held open
//
// The leases' holder must not open these files itself: it would wait for itself. It asks memoryNow() and loadNow().
// Threads: init's one. Failures: a source that cannot be read leaves its text as it was; a kernel that gives no lease
// leaves all texts as the launcher wrote them.
#pragma once

namespace cloister {

inline constexpr int kAsleep = -1;

// False: this process keeps no views (an `exec`), and nothing below may be called.
[[nodiscard]] bool watchViews();
// Milliseconds until keepViews() is to be called, or kAsleep.
[[nodiscard]] int viewsWereOpened();
[[nodiscard]] int keepViews();

struct MemoryNow {
  unsigned long total;  // bytes
  unsigned long free;
  unsigned long shared;
};
[[nodiscard]] MemoryNow memoryNow();

// Processors in use on average over 1, 5 and 15 minutes, in thousandths.
struct LoadNow {
  unsigned long of[3];
};
[[nodiscard]] LoadNow loadNow();

}  // namespace cloister
