// Abstract Unix sockets have no file, so no mode and no mount guards them; only the network namespace does.
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attack.h"

static int attempt(const char* name, int type) {
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const size_t length = strlen(name);
  memcpy(address.sun_path + 1, name, length);
  const int result =
      connect(fd, (const struct sockaddr*)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
  const int code = errno;
  close(fd);
  errno = code;
  return result;
}

int main(int count, char** arguments) {
  if (count < 2) return 2;
  for (int i = 1; i < count; ++i) {
    static const int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int type = 0; type < 3; ++type) refused(attempt(arguments[i], kTypes[type]), arguments[i]);
  }
  FILE* list = fopen("/proc/net/unix", "re");
  char line[512];
  while (list != NULL && fgets(line, sizeof line, list) != NULL) {
    for (int i = 1; i < count; ++i) {
      if (strstr(line, arguments[i]) != NULL) escaped("listed: %s", line);
    }
  }
  if (list != NULL) fclose(list);
  return verdict();
}
