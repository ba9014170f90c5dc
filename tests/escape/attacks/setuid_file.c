// Programs in an image that would run as another user, or with capabilities that their file names.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attack.h"

static void runIt(void) {
  execl("/attack/set-user-id", "set-user-id", "inside", (char*)NULL);
}

static void runWithCapabilities(void) {
  execl("/attack/capable", "capable", "inside", (char*)NULL);
}

static unsigned long effective(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capget, &header, sets) != 0) return ~0UL;
  return sets[0].effective | (unsigned long)sets[1].effective << 32U;
}

int main(int count, char** arguments) {
  if (count > 1 && strcmp(arguments[1], "inside") == 0) {
    const uid_t owner = 4242;
    if (geteuid() == owner || getegid() == owner) escaped("the file's owner is the effective user or group");
    if (getuid() != 0 && (geteuid() == 0 || getegid() == 0)) escaped("an ordinary user became root");
    if ((effective() >> CAP_SYS_ADMIN & 1U) != 0) escaped("the file's capabilities came along");
    _exit(attack_escapes != 0);
  }
  struct stat info;
  if (stat("/attack/set-user-id", &info) != 0 || (info.st_mode & S_ISUID) == 0) return 2;  // nothing to attack
  if (in_child(runIt) != 0) escaped("set-user-id");
  if (in_child(runWithCapabilities) != 0) escaped("file capabilities");
  // The bit on a file of one's own gives a later user nothing either.
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) escaped("new privileges are not ruled out");
  if (getuid() != 0 && (effective() != 0 || prctl(PR_CAPBSET_READ, CAP_SETUID, 0, 0, 0) == 1)) {
    escaped("capabilities %lx", effective());
  }
  refused(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0), "an ambient capability");
  return verdict();
}
