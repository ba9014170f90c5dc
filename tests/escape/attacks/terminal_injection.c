// Types into the terminal of whoever opened the session, so that their shell runs it: CVE-2016-7545, CVE-2023-28339.
// Run through exec with a terminal as its standard input.
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "attack.h"

static void inject(int fd, const char* name) {
  char what[64];
  const char* keys = "touch /tmp/cloister-escape\n";
  snprintf(what, sizeof what, "TIOCSTI on %s", name);
  refused(ioctl(fd, TIOCSTI, keys), what);
  for (unsigned bit = 32; bit < 64; bit += 7) {
    refused(ioctl(fd, (unsigned long)TIOCSTI | 1UL << bit, keys), what);
  }
  // TIOCL_SETSEL, TIOCL_PASTESEL: selects on a console and pastes into it.
  for (char subcode = 0; subcode < 20; ++subcode) refused(ioctl(fd, TIOCLINUX, &subcode), "TIOCLINUX");
  refused(ioctl(fd, TIOCCONS, NULL), "TIOCCONS");
  const int discipline = 15;
  refused(ioctl(fd, TIOCSETD, &discipline), "TIOCSETD");
}

int main(void) {
  if (!isatty(0)) return 2;
  inject(0, "standard input");
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (terminal >= 0) inject(terminal, "/dev/tty");
  // The host's consoles and terminals; its own is the container's only one.
  static const char* const kOthers[] = {"/dev/console", "/dev/tty0", "/dev/tty1", "/dev/pts/1", "/dev/pts/2"};
  for (size_t i = 0; i < sizeof kOthers / sizeof *kOthers; ++i) {
    refused(open(kOthers[i], O_RDWR | O_NOCTTY | O_CLOEXEC), kOthers[i]);
  }
  const int again = open("/dev/pts/0", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (again < 0) return 2;
  inject(again, "its terminal by its name");
  return verdict();
}
