// Sockets of another tenant and of the host, at the addresses that the driver names: "ADDRESS PORT" pairs.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "attack.h"

static int reach(const char* address, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) exit(2);
  int result = connect(fd, (const struct sockaddr*)&to, sizeof to);
  if (result != 0 && errno == EINPROGRESS) {
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = ETIMEDOUT;
    socklen_t size = sizeof error;
    if (poll(&wait, 1, 500) == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    result = error == 0 ? 0 : -1;
  }
  const int code = errno;
  const int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  (void)sendto(datagrams, "crossed", 7, 0, (const struct sockaddr*)&to, sizeof to);
  close(datagrams);
  close(fd);
  errno = code;
  return result;
}

int main(int count, char** arguments) {
  if (count < 3) return 2;
  for (int i = 1; i + 1 < count; i += 2) {
    char what[64];
    snprintf(what, sizeof what, "%s:%s", arguments[i], arguments[i + 1]);
    refused(reach(arguments[i], atoi(arguments[i + 1])), what);
  }
  return verdict();
}
