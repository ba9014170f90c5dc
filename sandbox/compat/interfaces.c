// libcloister-interfaces.so: getifaddrs(3) and if_nameindex(3) for containers, without a netlink socket.
//
// They ask through the read-only ioctls that every class allows, which answer from the container's own network
// namespace, and read IPv6 addresses from /proc where that shows them. glibc's own ask rtnetlink, of which a narrowed
// app's list may lack the calls. The base image names this library in /etc/ld.so.preload. Tenant code in every sense:
// it runs with the program's own rights, and a program that is linked statically goes without it. Threads: reentrant.
// Failures: as the functions' manual pages say.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMostAddresses = 64 };

union Address {
  struct sockaddr any;
  struct sockaddr_in ip4;
  struct sockaddr_in6 ip6;
  struct sockaddr_ll link;
};

struct Entry {
  struct ifaddrs shown;  // first: freeifaddrs() gets the list's head, which is the block's
  char name[IFNAMSIZ];
  union Address address;
  union Address mask;
  union Address broadcast;
};

struct List {
  struct Entry* entries;
  unsigned count;
};

// The target is zero from end to end.
static void copyName(char* to, const char* name) {
  memcpy(to, name, strnlen(name, IFNAMSIZ - 1));
}

static struct Entry* append(struct List* list, const char* name, unsigned flags) {
  if (list->count == kMostAddresses) return NULL;
  struct Entry* entry = &list->entries[list->count++];
  copyName(entry->name, name);
  entry->shown.ifa_name = entry->name;
  entry->shown.ifa_flags = flags;
  entry->shown.ifa_addr = &entry->address.any;
  return entry;
}

static int ask(int fd, unsigned long request, const char* name, struct ifreq* answer) {
  memset(answer, 0, sizeof *answer);
  copyName(answer->ifr_name, name);
  return ioctl(fd, request, answer);
}

static unsigned flagsOf(int fd, const char* name) {
  struct ifreq answer;
  return ask(fd, SIOCGIFFLAGS, name, &answer) == 0 ? (unsigned)(unsigned short)answer.ifr_flags : 0;
}

static int indexOf(int fd, const char* name) {
  struct ifreq answer;
  return ask(fd, SIOCGIFINDEX, name, &answer) == 0 ? answer.ifr_ifindex : 0;
}

static void addLink(struct List* list, int fd, const char* name) {
  struct ifreq answer;
  struct Entry* entry = append(list, name, flagsOf(fd, name));
  if (entry == NULL) return;
  struct sockaddr_ll* link = &entry->address.link;
  link->sll_family = AF_PACKET;
  link->sll_ifindex = indexOf(fd, name);
  if (ask(fd, SIOCGIFHWADDR, name, &answer) != 0) return;
  link->sll_hatype = answer.ifr_hwaddr.sa_family;
  link->sll_halen = 6;
  memcpy(link->sll_addr, answer.ifr_hwaddr.sa_data, 6);
}

static void addIp4(struct List* list, int fd, const struct ifreq* configured) {
  // With the address in the question, the answer is about this one of several that the interface may have.
  struct ifreq answer = *configured;
  struct Entry* entry = append(list, configured->ifr_name, flagsOf(fd, configured->ifr_name));
  if (entry == NULL) return;
  memcpy(&entry->address.any, &configured->ifr_addr, sizeof configured->ifr_addr);
  if (ioctl(fd, SIOCGIFNETMASK, &answer) == 0) {
    memcpy(&entry->mask.any, &answer.ifr_netmask, sizeof answer.ifr_netmask);
    entry->shown.ifa_netmask = &entry->mask.any;
  }
  answer = *configured;
  if ((entry->shown.ifa_flags & IFF_BROADCAST) != 0 && ioctl(fd, SIOCGIFBRDADDR, &answer) == 0) {
    memcpy(&entry->broadcast.any, &answer.ifr_broadaddr, sizeof answer.ifr_broadaddr);
    entry->shown.ifa_broadaddr = &entry->broadcast.any;
  }
}

// "address in 32 hex digits, index, prefix, scope, flags, name", the numbers in hex.
static void addIp6(struct List* list, int fd) {
  FILE* file = fopen("/proc/net/if_inet6", "re");
  if (file == NULL) return;
  char digits[33];
  char name[IFNAMSIZ];
  unsigned index = 0;
  unsigned prefix = 0;
  unsigned scope = 0;
  while (fscanf(file, "%32s %x %x %x %*x %15s", digits, &index, &prefix, &scope, name) == 5) {
    struct Entry* entry = append(list, name, flagsOf(fd, name));
    if (entry == NULL) break;
    entry->address.ip6.sin6_family = entry->mask.ip6.sin6_family = AF_INET6;
    if (scope == 0x20) entry->address.ip6.sin6_scope_id = index;  // link-local
    for (unsigned i = 0; i < 16; ++i) {
      unsigned byte = 0;
      if (sscanf(digits + 2 * i, "%2x", &byte) != 1) byte = 0;
      entry->address.ip6.sin6_addr.s6_addr[i] = (unsigned char)byte;
      const unsigned bits = prefix > 8 * i ? prefix - 8 * i : 0;
      entry->mask.ip6.sin6_addr.s6_addr[i] = (unsigned char)(bits >= 8 ? 0xff : 0xff00 >> bits);
    }
    entry->shown.ifa_netmask = &entry->mask.any;
  }
  fclose(file);
}

// Interfaces that have an IPv4 address, as a container's have. Returns how many, or -1.
static int configured(int fd, struct ifreq* found) {
  struct ifconf all = {.ifc_len = (int)(kMostAddresses * sizeof *found), .ifc_req = found};
  if (ioctl(fd, SIOCGIFCONF, &all) != 0) return -1;
  return all.ifc_len / (int)sizeof *found;
}

static int seenBefore(const struct ifreq* found, int at) {
  for (int i = 0; i < at; ++i) {
    if (strcmp(found[i].ifr_name, found[at].ifr_name) == 0) return 1;
  }
  return 0;
}

__attribute__((visibility("default"))) int getifaddrs(struct ifaddrs** result) {
  struct ifreq found[kMostAddresses];
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int count = configured(fd, found);
  struct List list = {count < 0 ? NULL : calloc(kMostAddresses, sizeof(struct Entry)), 0};
  if (list.entries == NULL) {
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  for (int i = 0; i < count; ++i) {
    if (!seenBefore(found, i)) addLink(&list, fd, found[i].ifr_name);
  }
  for (int i = 0; i < count; ++i) addIp4(&list, fd, &found[i]);
  addIp6(&list, fd);
  close(fd);
  for (unsigned i = 1; i < list.count; ++i) list.entries[i - 1].shown.ifa_next = &list.entries[i].shown;
  if (list.count == 0) free(list.entries);
  *result = list.count == 0 ? NULL : &list.entries->shown;
  return 0;
}

__attribute__((visibility("default"))) void freeifaddrs(struct ifaddrs* list) {
  free(list);
}

__attribute__((visibility("default"))) struct if_nameindex* if_nameindex(void) {
  struct ifreq found[kMostAddresses];
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return NULL;
  const int count = configured(fd, found);
  struct if_nameindex* list = count < 0 ? NULL : calloc((size_t)count + 1, sizeof *list);
  if (list == NULL) {
    const int error = errno;
    close(fd);
    errno = error;
    return NULL;
  }
  unsigned named = 0;
  for (int i = 0; i < count; ++i) {
    if (seenBefore(found, i)) continue;
    list[named].if_index = (unsigned)indexOf(fd, found[i].ifr_name);
    list[named].if_name = strdup(found[i].ifr_name);
    if (list[named].if_name == NULL) break;
    ++named;
  }
  close(fd);
  list[named] = (struct if_nameindex){0, NULL};
  return list;
}

__attribute__((visibility("default"))) void if_freenameindex(struct if_nameindex* list) {
  if (list == NULL) return;
  for (struct if_nameindex* one = list; one->if_name != NULL; ++one) free(one->if_name);
  free(list);
}
