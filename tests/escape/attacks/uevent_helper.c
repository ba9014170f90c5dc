// A program that the kernel starts as root of the host for every device event.
#include <linux/netlink.h>
#include <sys/socket.h>

#include "attack.h"

int main(void) {
  refused_write("/sys/kernel/uevent_helper", "/tmp/payload");
  refused_write("/proc/sys/kernel/hotplug", "/tmp/payload");
  refused_write("/sys/class/mem/null/uevent", "change");
  refused_write("/sys/module/firmware_class/parameters/path", "/tmp");
  refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT), "the socket of device events");
  refused(open("/sys/anything", O_WRONLY | O_CREAT, 0644), "a file in /sys");
  return verdict();
}
