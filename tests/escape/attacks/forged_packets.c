// Packets under another's address: raw frames, raw IP, ARP, IPv6, borrowed source addresses, and the settings of the
// link that would make them one's own.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "attack.h"

static void borrowAddress(const char* source, const char* target) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(53)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9000)};
  inet_pton(AF_INET, source, &from.sin_addr);
  inet_pton(AF_INET, target, &to.sin_addr);
  refused(setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on), "IP_TRANSPARENT");
  // Allowed to everybody; the kernel must still not send from there.
  (void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  if (bind(fd, (const struct sockaddr*)&from, sizeof from) == 0) {
    refused(sendto(fd, "forged-frame", 12, 0, (const struct sockaddr*)&to, sizeof to), "a borrowed source address");
  }
  close(fd);
  // The same by a control message.
  const int plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
  char payload[] = "forged-frame";
  struct iovec piece = {payload, 12};
  struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece, .msg_iovlen = 1};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
  struct in_pktinfo info = {.ipi_spec_dst = from.sin_addr};
  memcpy(CMSG_DATA(header), &info, sizeof info);
  refused(sendmsg(plain, &message, 0), "IP_PKTINFO");
  close(plain);
}

// The answer to a change of the network, which rtnetlink refuses before it reads further.
static long change(int netlink, unsigned short type) {
  struct {
    struct nlmsghdr header;
    char body[64];
  } wanted = {.header = {sizeof wanted, type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0}};
  struct {
    struct nlmsghdr header;
    int error;
    char rest[512];
  } answer = {0};
  if (type == RTM_NEWLINK) {
    const struct ifinfomsg down = {.ifi_index = 2, .ifi_change = IFF_UP};
    memcpy(wanted.body, &down, sizeof down);
  }
  if (send(netlink, &wanted, sizeof wanted, 0) < 0 || recv(netlink, &answer, sizeof answer, 0) <= 0) return -1;
  errno = -answer.error;
  // A complaint about what it read would mean that it may.
  return answer.error == -EPERM ? -1 : 0;
}

static void changeLink(void) {
  const int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (netlink >= 0) {
    refused(change(netlink, RTM_NEWLINK), "setting the link down");
    refused(change(netlink, RTM_NEWADDR), "another address");
    refused(change(netlink, RTM_NEWROUTE), "another route");
    refused(change(netlink, RTM_NEWNEIGH), "another neighbour");
    refused(change(netlink, RTM_NEWRULE), "a rule for routes");
    refused(change(netlink, RTM_NEWQDISC), "another queue");
    refused(change(netlink, RTM_NEWTFILTER), "a filter of packets");
    close(netlink);
  }
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "eth0");
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  refused(ioctl(fd, SIOCSIFADDR, &request), "SIOCSIFADDR");
  refused(ioctl(fd, SIOCSIFHWADDR, &request), "SIOCSIFHWADDR");
  refused(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
  refused(ioctl(fd, SIOCSARP, &request), "SIOCSARP");
  refused(ioctl(fd, SIOCADDRT, &request), "SIOCADDRT");
}

// An echo socket sends echo requests and nothing else.
static void notAPing(void) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) return;
  const struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  static const unsigned char kTypes[] = {0, 3, 4, 5, 9, 13};  // answers, unreachable, quench, redirect, routers, times
  for (size_t i = 0; i < sizeof kTypes; ++i) {
    const unsigned char packet[16] = {kTypes[i], 1};
    refused(sendto(fd, packet, sizeof packet, 0, (const struct sockaddr*)&self, sizeof self), "ICMP other than a ping");
  }
  const int yes = 1;
  refused(setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &yes, sizeof yes), "an own IP header");
  close(fd);
}

int main(int count, char** arguments) {
  if (count < 3) return 2;  // a neighbour's address, and whom to write to
  refused(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), "AF_PACKET raw");
  refused(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP)), "AF_PACKET datagrams");
  refused(socket(AF_INET, SOCK_PACKET, htons(ETH_P_ALL)), "SOCK_PACKET");
  refused(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "raw IPv4");
  refused(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "raw ICMP");
  refused(socket(AF_INET6, SOCK_RAW, IPPROTO_RAW), "raw IPv6");
  refused(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), "neighbour discovery");
  refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), "netfilter");
  refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), "xfrm");
  refused(socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), "generic netlink");
  borrowAddress(arguments[1], arguments[2]);
  changeLink();
  notAPing();
  // IPv6 towards everybody on the link.
  const int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_port = htons(9000), .sin6_scope_id = 2};
  inet_pton(AF_INET6, "ff02::1", &all.sin6_addr);
  if (six >= 0) refused(sendto(six, "forged-frame", 12, 0, (const struct sockaddr*)&all, sizeof all), "all IPv6 nodes");
  return verdict();
}
