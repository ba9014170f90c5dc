#include "sandbox/init/processors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/base/live_views.h"
#include "sandbox/init/text.h"

namespace cloister {
namespace {

constexpr unsigned kBits = 8;
constexpr unsigned kWordBytes = 8;

// The host's processors, as the kernel has them in a mask.
struct HostMask {
  unsigned char bytes[kKernelMaskBytes];
};

bool has(const unsigned char* bytes, unsigned long number) {
  return (bytes[number / kBits] >> (number % kBits) & 1U) != 0;
}
void add(unsigned char* bytes, unsigned long number) {
  bytes[number / kBits] = static_cast<unsigned char>(bytes[number / kBits] | 1U << (number % kBits));
}

// What does not change while the container lives.
struct World {
  bool known;
  HostMask all;          // those that init itself may use
  unsigned long host;    // their number
  unsigned long shown;   // to the container
  unsigned long offset;  // processor i of the container is the host's (offset + i) modulo `host`, of those in `all`
};
World world;

long getKernelAffinity(int thread, HostMask& mask) {
  memset(&mask, 0, sizeof mask);
  return syscall(SYS_sched_getaffinity, thread, sizeof mask, &mask);
}

unsigned long readShown() {
  char text[64] = {};
  const int file = open(kProcessorsFile, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 1;
  const ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  if (got <= 0) return 1;
  const char* dash = strchr(text, '-');
  return dash == nullptr ? 1 : numberAt(dash + 1) + 1;
}

const World& here() {
  if (world.known) return world;
  world.known = true;
  world.shown = readShown();
  if (getKernelAffinity(0, world.all) > 0) {
    for (unsigned long i = 0; i < kKernelMaskBytes * kBits; ++i) world.host += has(world.all.bytes, i) ? 1U : 0U;
  }
  // The same for every init of a container, another for every container.
  struct stat space {};
  if (world.host > 0 && stat("/proc/self/ns/pid", &space) == 0) world.offset = space.st_ino % world.host;
  return world;
}

bool showsAll() {
  return here().shown >= here().host || here().shown > kMaskBytes * kBits;
}

// The number of the host's processor that is the container's `own`.
unsigned long hostNumber(unsigned long own) {
  unsigned long left = (here().offset + own) % here().host;
  for (unsigned long i = 0; i < kKernelMaskBytes * kBits; ++i) {
    if (has(here().all.bytes, i) && left-- == 0) return i;
  }
  return 0;
}

}  // namespace

unsigned long shownProcessors() {
  return here().shown;
}

int answerGetAffinity(int thread, unsigned length, Mask& mask) {
  if (showsAll()) return kKernelsAnswer;
  const unsigned long shown = here().shown;
  const unsigned long needed = (shown + kWordBytes * kBits - 1) / (kWordBytes * kBits) * kWordBytes;
  if (length * static_cast<unsigned long>(kBits) < shown || length % kWordBytes != 0) return -EINVAL;
  HostMask now;
  if (getKernelAffinity(thread, now) < 0) return -errno;
  memset(&mask, 0, sizeof mask);
  const bool everywhere = memcmp(&now, &here().all, sizeof now) == 0;
  bool any = false;
  for (unsigned long i = 0; i < shown && !everywhere; ++i) {
    if (!has(now.bytes, hostNumber(i))) continue;
    add(mask.bytes, i);
    any = true;
  }
  for (unsigned long i = 0; i < shown && !any; ++i) add(mask.bytes, i);
  return static_cast<int>(needed < length ? needed : length);
}

int answerSetAffinity(int thread, const Mask& mask) {
  if (showsAll()) return kKernelsAnswer;
  const unsigned long shown = here().shown;
  HostMask wanted{};
  unsigned long chosen = 0;
  for (unsigned long i = 0; i < shown; ++i) {
    if (!has(mask.bytes, i)) continue;
    add(wanted.bytes, hostNumber(i));
    ++chosen;
  }
  if (chosen == 0) return -EINVAL;
  if (chosen == shown) wanted = here().all;  // nothing is given up: it runs where there is room
  if (thread == getpid()) return -EPERM;     // init, which knows from its own where all may run
  return syscall(SYS_sched_setaffinity, thread, sizeof wanted, &wanted) == 0 ? 0 : -errno;
}

}  // namespace cloister
