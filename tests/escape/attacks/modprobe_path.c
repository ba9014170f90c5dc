// A program that the kernel starts as root of the host to load a module that something asked for.
#include <sys/socket.h>
#include <sys/stat.h>

#include "attack.h"

static void runUnknownFormat(void) {
  execl("/tmp/unknown", "unknown", (char*)NULL);  // asks for the module binfmt-ffff
}

int main(void) {
  refused_write("/proc/sys/kernel/modprobe", "/tmp/payload");
  refused_write("/proc/sys/kernel/modules_disabled", "0");
  refused_write("/proc/sys/kernel/usermodehelper/bset", "4294967295 4294967295");
  const int unknown = open("/tmp/unknown", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  if (unknown < 0 || write(unknown, "\xff\xff\xff\xff", 4) != 4) return 2;
  close(unknown);
  in_child(runUnknownFormat);
  refused(socket(38, SOCK_SEQPACKET, 0), "AF_ALG");       // net-pf-38
  refused(socket(40, SOCK_STREAM, 0), "AF_VSOCK");        // net-pf-40
  refused(socket(AF_INET, SOCK_SEQPACKET, 132), "SCTP");  // net-pf-2-proto-132
  return verdict();
}
