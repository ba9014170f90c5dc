// CVE-2024-21626: started in a directory of its own choice, among them links to the runtime's descriptors. Says where
// it is, and whether the way up from there ends at the container's root.
#include <sys/stat.h>

#include "attack.h"

int main(int count, char** arguments) {
  // One thing that the host has and the container has not.
  if (count < 2) return 2;
  char directory[4096];
  if (getcwd(directory, sizeof directory) == NULL || directory[0] != '/') {
    escaped("getcwd: %s", strerror(errno));
  } else {
    printf("in %s\n", directory);
  }
  char up[1024] = "";
  for (int i = 0; i < 64; ++i) strcat(up, "../");
  struct stat root;
  struct stat top;
  if (stat("/", &root) != 0) return 2;
  if (stat(up, &top) != 0) {
    refused(-1, "the way up");
  } else if (root.st_ino != top.st_ino || root.st_dev != top.st_dev) {
    escaped("the way up ends in another root");
  }
  strcat(up, arguments[1] + 1);
  if (access(up, F_OK) == 0) escaped("%s is there", up);
  if (access(arguments[1], F_OK) == 0) escaped("%s is there", arguments[1]);
  return verdict();
}
