// Bytes, then inodes, until the directory given is full; and what a full one still lets through.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "attack.h"

int main(int count, char** arguments) {
  if (count < 4) return 2;
  const char* directory = arguments[1];
  const long most_bytes = atol(arguments[2]);
  const long most_inodes = atol(arguments[3]);
  char path[256];
  snprintf(path, sizeof path, "%s/flood", directory);
  const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return 2;
  static char block[65536];
  memset(block, 'd', sizeof block);
  long bytes = 0;
  for (ssize_t wrote = 1; wrote > 0 && bytes <= most_bytes;) {
    wrote = write(file, block, sizeof block);
    if (wrote > 0) bytes += wrote;
  }
  printf("%ld bytes: %s\n", bytes, strerror(errno));
  if (bytes > most_bytes) escaped("%ld bytes in %s", bytes, directory);
  // Space that is only promised, and holes far out.
  if (fallocate(file, 0, 0, most_bytes * 4) == 0) escaped("%ld bytes were promised", most_bytes * 4);
  if (ftruncate(file, 0) != 0) return 2;
  long inodes = 0;
  for (; inodes <= most_inodes; ++inodes) {
    snprintf(path, sizeof path, "%s/%ld", directory, inodes);
    const int made = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (made < 0) break;
    close(made);
  }
  if (inodes > most_inodes) escaped("%ld inodes in %s", inodes, directory);
  snprintf(path, sizeof path, "%s/flood", directory);
  long links = 0;
  for (; links < 100000; ++links) {
    char name[300];
    snprintf(name, sizeof name, "%s/link%ld", directory, links);
    if (link(path, name) != 0) break;
  }
  if (links >= 100000) escaped("%ld links in %s", links, directory);
  return hold(inodes, "inodes");
}
