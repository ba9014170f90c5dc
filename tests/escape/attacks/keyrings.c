// Keys live in the kernel beyond any container, and request_key starts a program as root of the host.
#include <linux/keyctl.h>
#include <sys/syscall.h>

#include "attack.h"

int main(void) {
  static const int kRings[] = {KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_SESSION_KEYRING,
                               KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING};
  for (size_t i = 0; i < sizeof kRings / sizeof *kRings; ++i) {
    refused(syscall(SYS_add_key, "user", "mine", "payload", 7UL, kRings[i]), "add_key");
    refused(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, kRings[i], 1), "keyctl: a keyring");
  }
  refused(syscall(SYS_request_key, "user", "mine", "/bin/touch /tmp/cloister-escape", KEY_SPEC_SESSION_KEYRING),
          "request_key");
  refused(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "keyctl: a new session");
  refused(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses"), "keyctl: the host's session");
  refused(syscall(SYS_keyctl, KEYCTL_GET_PERSISTENT, -1, KEY_SPEC_SESSION_KEYRING), "keyctl: what outlives a process");
  for (long serial = 1; serial < 4096; ++serial) {
    char text[256];
    if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, serial, text, sizeof text) >= 0) escaped("key %ld: %s", serial, text);
  }
  return verdict();
}
