#include "sandbox/init/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sysinfo.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/init/live_views.h"
#include "sandbox/init/processors.h"
#include "sandbox/init/text.h"

namespace cloister {
namespace {

// Larger than the kernel's own idea of the message, should that have grown.
union Notice {
  seccomp_notif call;
  char room[256];
};
union Reply {
  seccomp_notif_resp answer;
  char room[256];
};

constexpr unsigned kLoadShift = 16;  // of sysinfo's fixed-point loads
constexpr unsigned long kMillis = 1'000;

size_t readFile(const char* path, char* text, size_t size) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t got = file < 0 ? -1 : read(file, text, size - 1);
  if (file >= 0) close(file);
  text[got > 0 ? got : 0] = '\0';
  return got > 0 ? static_cast<size_t>(got) : 0;
}

// "<key> <number> kB" of the text, in bytes; 0 when it is not there.
unsigned long bytesOf(const char* text, const char* key) {
  const char* at = strstr(text, key);
  return at == nullptr ? 0 : numberAt(at + strlen(key)) << 10U;
}

// Of an `exec`: from the views that the container's first init keeps.
void readViews(MemoryNow& memory, LoadNow& load) {
  char text[1'024];
  readFile("/proc/meminfo", text, sizeof text);
  memory = {bytesOf(text, "MemTotal:"), bytesOf(text, "MemFree:"), bytesOf(text, "Shmem:")};
  readFile("/proc/loadavg", text, sizeof text);
  const char* at = text;
  for (unsigned long& one : load.of) {
    one = numberAt(at, &at) * kMillis;
    if (*at == '.') one += numberAt(at + 1, &at) * 10;
  }
}

void describe(struct sysinfo& info, Views views) {
  MemoryNow memory{};
  LoadNow load{};
  if (views == Views::kept) {
    memory = memoryNow();
    load = loadNow();
  } else {
    readViews(memory, load);
  }
  info.totalram = memory.total;
  info.freeram = memory.free;
  info.sharedram = memory.shared;
  info.mem_unit = 1;
  info.procs = 1;
  for (int i = 0; i < 3; ++i) info.loads[i] = (load.of[i] << kLoadShift) / kMillis;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  info.uptime = now.tv_sec + (now.tv_nsec != 0 ? 1 : 0);
}

// The caller's memory; -1 where the kernel does not allow it.
int openMemory(unsigned pid) {
  char path[32];
  (void)Text(path, sizeof path).put("/proc/").put(pid).put("/mem");
  return open(path, O_RDWR | O_CLOEXEC);
}

struct Call {
  const seccomp_data& data;
  unsigned caller;
  int memory;
};

bool give(const Call& call, unsigned long at, const void* from, size_t size) {
  return pwrite(call.memory, from, size, static_cast<off_t>(at)) == static_cast<ssize_t>(size);
}

int threadOf(const Call& call) {
  const int asked = static_cast<int>(call.data.args[0]);
  return asked == 0 ? static_cast<int>(call.caller) : asked;
}

int answerSysinfo(const Call& call, Views views) {
  struct sysinfo info {};
  describe(info, views);
  return give(call, call.data.args[0], &info, sizeof info) ? 0 : -EFAULT;
}

int answerGet(const Call& call) {
  Mask mask;
  const int size = answerGetAffinity(threadOf(call), static_cast<unsigned>(call.data.args[1]), mask);
  if (size <= 0) return size;
  return give(call, call.data.args[2], &mask, static_cast<size_t>(size)) ? size : -EFAULT;
}

int answerSet(const Call& call) {
  Mask mask{};
  const auto length = static_cast<unsigned>(call.data.args[1]);
  const size_t size = length < sizeof mask ? length : sizeof mask;
  if (pread(call.memory, &mask, size, static_cast<off_t>(call.data.args[2])) != static_cast<ssize_t>(size)) {
    return -EFAULT;
  }
  const int thread = threadOf(call);
  const int done = answerSetAffinity(thread, mask);
  // Of a build's other users, which init may not move; each of them may move itself, and runs on as well unmoved.
  return done == -EPERM && thread == static_cast<int>(call.caller) ? 0 : done;
}

}  // namespace

int answerCall(int listener, bool refuse, Views views) {
  Notice notice{};
  if (syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return -1;
  const int number = notice.call.data.nr;
  const bool ours = number == SYS_sysinfo || number == SYS_sched_getaffinity || number == SYS_sched_setaffinity;
  Reply reply{};
  reply.answer.id = notice.call.id;
  int result = refuse ? -ENOSYS : kKernelsAnswer;
  if (ours) {
    const Call call{notice.call.data, notice.call.pid, openMemory(notice.call.pid)};
    // Opened first: a caller that is still there now is the one whose memory it is.
    const bool there = syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notice.call.id) == 0;
    if (call.memory < 0 || !there) {
      result = number == SYS_sysinfo ? -EPERM : kKernelsAnswer;
    } else if (number == SYS_sysinfo) {
      result = answerSysinfo(call, views);
    } else {
      result = number == SYS_sched_getaffinity ? answerGet(call) : answerSet(call);
    }
    if (call.memory >= 0) close(call.memory);
  }
  if (result == kKernelsAnswer) {
    reply.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  } else if (result < 0) {
    reply.answer.error = result;
  } else {
    reply.answer.val = result;
  }
  syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  return ours ? -1 : number;
}

}  // namespace cloister
