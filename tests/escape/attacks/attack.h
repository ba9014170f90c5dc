// How a hostile program reports what it found: a line for every try on standard output, and at the end an exit code.
//
//   "refused: WHAT: REASON"   the attack did not get through here
//   "escaped: WHAT"           it did; the program ends with 1
//   "skipped: REASON"         this kernel has nothing to attack; the program ends with 77
//   "held"                    the last line when nothing escaped; the program ends with 0
// A flood says "holding: N WHAT" once it can get no more, keeps all it has until SIGTERM, and then ends like the
// others.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int attack_escapes;

__attribute__((format(printf, 1, 2))) static inline void escaped(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("escaped: ");
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
  ++attack_escapes;
}

// `result` is a system call's: negative with errno set when the kernel refused.
static inline void refused(long result, const char* what) {
  if (result >= 0) {
    escaped("%s gave %ld", what, result);
  } else {
    printf("refused: %s: %s\n", what, strerror(errno));
  }
}

__attribute__((noreturn)) static inline void skipped(const char* reason) {
  printf("skipped: %s\n", reason);
  exit(77);
}

static inline int verdict(void) {
  if (attack_escapes == 0) printf("held\n");
  fflush(stdout);
  return attack_escapes != 0;
}

// Bytes written, or -1.
static inline long write_file(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t wrote = write(fd, text, strlen(text));
  const int code = errno;
  close(fd);
  errno = code;
  return wrote;
}

// The same file by its name and by the names that a careless mask forgets.
static inline void refused_write(const char* path, const char* text) {
  static const char* const kWays[] = {"",
                                      "/proc/self/root",
                                      "/proc/1/root",
                                      "/proc/thread-self/root",
                                      "/proc/self/cwd/../../../../..",
                                      "/dev/fd/../root",
                                      "/proc/self/task/../root"};
  for (size_t i = 0; i < sizeof kWays / sizeof *kWays; ++i) {
    char name[512];
    snprintf(name, sizeof name, "%s%s", kWays[i], path);
    refused(write_file(name, text), name);
  }
}

// Calls `body` in a child and returns its wait status, or -1.
static inline int in_child(void (*body)(void)) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    body();
    fflush(stdout);
    _exit(0);
  }
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  return status;
}

// The last of a flood: keeps what it has until it is asked to end.
static inline int hold(long count, const char* what) {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, NULL);
  const int code = errno;
  printf("holding: %ld %s, then %s\n", count, what, strerror(code));
  fflush(stdout);
  int number = 0;
  sigwait(&end, &number);
  return verdict();
}
