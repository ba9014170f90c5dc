#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

/* Messages back to back, sent as one datagram. */
struct Batch {
  char bytes[2048] __attribute__((aligned(NLMSG_ALIGNTO)));
  size_t size;
  int messages;
};

static struct nlmsghdr* begin(struct Batch* batch, uint16_t type, uint16_t flags, const void* body, size_t size) {
  struct nlmsghdr* header = (struct nlmsghdr*)(void*)(batch->bytes + batch->size);
  memset(header, 0, sizeof *header);
  header->nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  memcpy(NLMSG_DATA(header), body, size);
  batch->size += NLMSG_ALIGN(header->nlmsg_len);
  batch->messages++;
  return header;
}

static struct rtattr* put(struct Batch* batch, struct nlmsghdr* message, uint16_t type, const void* value,
                          size_t size) {
  struct rtattr* attribute = (struct rtattr*)(void*)(batch->bytes + batch->size);
  attribute->rta_type = type;
  attribute->rta_len = (uint16_t)RTA_LENGTH(size);
  if (size > 0) memcpy(RTA_DATA(attribute), value, size);
  batch->size += RTA_ALIGN(attribute->rta_len);
  message->nlmsg_len += (uint32_t)RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void closeNest(const struct Batch* batch, struct rtattr* nest) {
  nest->rta_len = (uint16_t)(batch->bytes + batch->size - (char*)nest);
}

static void sendBatch(const struct Batch* batch, const char* what) {
  char answer[4096];
  const int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  need(route >= 0 && send(route, batch->bytes, batch->size, 0) == (ssize_t)batch->size, what);
  for (int left = batch->messages; left > 0; left--) {
    need(recv(route, answer, sizeof answer, 0) > 0, what);
    const struct nlmsgerr* error = NLMSG_DATA((struct nlmsghdr*)(void*)answer);
    errno = -error->error;
    need(error->error == 0, what);
  }
  close(route);
}

void linkNamespace(pid_t pid, const char* bridge) {
  const unsigned master = if_nametoindex(bridge);
  need(master != 0, bridge);
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "fl%d", (int)pid);
  struct Batch batch = {.size = 0, .messages = 0};
  const struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  const struct ifinfomsg peer = {.ifi_family = AF_UNSPEC};
  struct nlmsghdr* message = begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  put(&batch, message, IFLA_IFNAME, name, strlen(name) + 1);
  put(&batch, message, IFLA_MASTER, &master, sizeof master);
  struct rtattr* info = put(&batch, message, IFLA_LINKINFO, NULL, 0);
  put(&batch, message, IFLA_INFO_KIND, "veth", strlen("veth"));
  struct rtattr* data = put(&batch, message, IFLA_INFO_DATA, NULL, 0);
  struct rtattr* end = put(&batch, message, VETH_INFO_PEER, &peer, sizeof peer);
  put(&batch, message, IFLA_IFNAME, "eth0", strlen("eth0") + 1);
  put(&batch, message, IFLA_NET_NS_PID, &pid, sizeof pid);
  closeNest(&batch, end);
  closeNest(&batch, data);
  closeNest(&batch, info);
  sendBatch(&batch, "pair");
}

static void up(struct Batch* batch, int index) {
  const struct ifinfomsg link = {
      .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  begin(batch, RTM_NEWLINK, 0, &link, sizeof link);
}

void configureLinks(int hasLink) {
  struct Batch batch = {.size = 0, .messages = 0};
  up(&batch, 1);
  if (hasLink) {
    const unsigned index = if_nametoindex("eth0");
    const uint32_t address = htonl(0x0a000002);
    const uint32_t gateway = htonl(0x0a000001);
    need(index != 0, "eth0");
    const struct ifaddrmsg own = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = index};
    struct nlmsghdr* message = begin(&batch, RTM_NEWADDR, NLM_F_CREATE, &own, sizeof own);
    put(&batch, message, IFA_LOCAL, &address, sizeof address);
    put(&batch, message, IFA_ADDRESS, &address, sizeof address);
    up(&batch, (int)index);
    const struct rtmsg route = {.rtm_family = AF_INET,
                                .rtm_table = RT_TABLE_MAIN,
                                .rtm_protocol = RTPROT_STATIC,
                                .rtm_scope = RT_SCOPE_UNIVERSE,
                                .rtm_type = RTN_UNICAST};
    message = begin(&batch, RTM_NEWROUTE, NLM_F_CREATE, &route, sizeof route);
    put(&batch, message, RTA_GATEWAY, &gateway, sizeof gateway);
    put(&batch, message, RTA_OIF, &index, sizeof index);
  }
  sendBatch(&batch, "configure");
}
