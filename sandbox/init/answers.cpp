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

// "<key> <number> kB" of the text, in bytes; 0 when it is not there.
unsigned long bytesOf(const char* text, const char* key) {
  const char* at = strstr(text, key);
  if (at == nullptr) return 0;
  at += strlen(key);
  while (*at == ' ') ++at;
  unsigned long kilobytes = 0;
  for (; *at >= '0' && *at <= '9'; ++at) kilobytes = kilobytes * 10 + static_cast<unsigned long>(*at - '0');
  return kilobytes << 10U;
}

void describe(struct sysinfo& info) {
  char text[512] = {};
  const int file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    // The two lines that are asked for stand first.
    const ssize_t got = read(file, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    close(file);
  }
  info.totalram = bytesOf(text, "MemTotal:");
  info.freeram = bytesOf(text, "MemFree:");
  info.mem_unit = 1;
  info.procs = 1;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  info.uptime = now.tv_sec + (now.tv_nsec != 0 ? 1 : 0);
}

// "/proc/<pid>/mem" without stdio.
void memoryPath(char* path, unsigned pid) {
  char digits[12];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + pid % 10);
    pid /= 10;
  } while (pid > 0);
  strcpy(path, "/proc/");
  path += strlen(path);
  while (count > 0) *path++ = digits[--count];
  strcpy(path, "/mem");
}

}  // namespace

int answerCall(int listener, bool refuse) {
  Notice notice{};
  if (syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return -1;
  Reply reply{};
  reply.answer.id = notice.call.id;
  if (notice.call.data.nr != SYS_sysinfo) {
    if (refuse) {
      reply.answer.error = -ENOSYS;
    } else {
      reply.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    }
    syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    return notice.call.data.nr;
  }
  struct sysinfo info {};
  describe(info);
  char path[32];
  memoryPath(path, notice.call.pid);
  const int memory = open(path, O_WRONLY | O_CLOEXEC);
  // Opened first: a caller that is still there now is the one whose memory it is.
  const bool there = syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notice.call.id) == 0;
  if (memory < 0 || !there) {
    reply.answer.error = -EPERM;
  } else if (pwrite(memory, &info, sizeof info, static_cast<off_t>(notice.call.data.args[0])) !=
             static_cast<ssize_t>(sizeof info)) {
    reply.answer.error = -EFAULT;
  }
  if (memory >= 0) close(memory);
  syscall(SYS_ioctl, listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  return -1;
}

}  // namespace cloister
