// An interpreter that the whole host would use for every program with certain first bytes.
#include <sys/mount.h>

#include "attack.h"

int main(void) {
  refused(mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc", 0, NULL), "mount binfmt_misc");
  refused_write("/proc/sys/fs/binfmt_misc/register", ":mine:M::\\x7fELF::/tmp/payload:C");
  refused_write("/proc/sys/fs/binfmt_misc/status", "-1");
  return verdict();
}
