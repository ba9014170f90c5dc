#include "sandbox/base/counters.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "sandbox/base/files.h"

namespace cloister::counters {
namespace {

constexpr std::size_t kNetlinkBuffer = 128UL * 1024;

std::size_t aligned(std::size_t length) {
  return (length + 3U) & ~static_cast<std::size_t>(3U);
}

template <typename T>
bool copyOut(std::string_view bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  return true;
}

enum class Scope { one, all };

// One RTM_GETLINK request and its answers.
Result<std::vector<Link>> getLinks(Scope scope, const std::string& name) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return errnoError("counters", "socket", "netlink");

  struct {
    nlmsghdr header;
    ifinfomsg info;
    rtattr attribute;
    std::array<char, IFNAMSIZ> name;
  } request{};
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = 1;
  request.header.nlmsg_len = sizeof request.header + sizeof request.info;
  request.info.ifi_family = AF_UNSPEC;
  if (scope == Scope::all) {
    request.header.nlmsg_flags |= NLM_F_DUMP;
  } else {
    if (name.empty() || name.size() >= request.name.size()) return Error{"counters", "link name", name, EINVAL};
    request.attribute.rta_type = IFLA_IFNAME;
    request.attribute.rta_len = static_cast<unsigned short>(sizeof request.attribute + name.size() + 1);
    std::memcpy(request.name.data(), name.data(), name.size());
    request.header.nlmsg_len = sizeof request;
  }
  if (::send(socket.get(), &request, request.header.nlmsg_len, 0) < 0) return errnoError("counters", "send", "netlink");

  std::vector<Link> links;
  const auto buffer = std::make_unique<char[]>(kNetlinkBuffer);
  for (;;) {
    const ssize_t got = ::recv(socket.get(), buffer.get(), kNetlinkBuffer, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      return errnoError("counters", "recv", "netlink");
    }
    std::string_view rest(buffer.get(), static_cast<std::size_t>(got));
    nlmsghdr header{};
    while (copyOut(rest, header) && header.nlmsg_len >= sizeof header && header.nlmsg_len <= rest.size()) {
      const auto payload = rest.substr(sizeof header, header.nlmsg_len - sizeof header);
      if (header.nlmsg_type == NLMSG_DONE) return links;
      if (header.nlmsg_type == NLMSG_ERROR) {
        int code = 0;
        if (!copyOut(payload, code) || code == 0) code = -EPROTO;
        return Error{"counters", "RTM_GETLINK", name, -code};
      }
      if (header.nlmsg_type == RTM_NEWLINK) {
        links.push_back(parseLink(payload));
        if (scope == Scope::one) return links;
      }
      rest.remove_prefix(std::min(rest.size(), aligned(header.nlmsg_len)));
    }
  }
}

}  // namespace

Link parseLink(std::string_view message) {
  Link link;
  ifinfomsg info{};
  if (!copyOut(message, info)) return link;
  link.index = static_cast<std::uint32_t>(info.ifi_index);
  message.remove_prefix(std::min(message.size(), aligned(sizeof info)));
  rtattr attribute{};
  while (copyOut(message, attribute) && attribute.rta_len >= sizeof attribute && attribute.rta_len <= message.size()) {
    const auto data = message.substr(sizeof attribute, attribute.rta_len - sizeof attribute);
    rtnl_link_stats64 stats{};
    if (attribute.rta_type == IFLA_IFNAME) {
      link.name = std::string(data.substr(0, data.find('\0')));
    } else if (attribute.rta_type == IFLA_STATS64) {
      // Older kernels have fewer fields at its end; the two that count stand in front.
      std::memcpy(&stats, data.data(), std::min(data.size(), sizeof stats));
      link.receivedBytes = stats.rx_bytes;
      link.sentBytes = stats.tx_bytes;
    }
    message.remove_prefix(std::min(message.size(), aligned(attribute.rta_len)));
  }
  return link;
}

Result<std::string_view> readAgain(int fd, char* buffer, std::size_t capacity) {
  std::size_t used = 0;
  while (used < capacity) {
    const ssize_t got = ::pread(fd, buffer + used, capacity - used, static_cast<off_t>(used));
    if (got < 0) {
      if (errno == EINTR) continue;
      return errnoError("counters", "pread");
    }
    used += static_cast<std::size_t>(got);
    // Kernel interface files come whole in the first read; a short one is the end.
    if (got == 0 || used < capacity) break;
  }
  return std::string_view(buffer, used);
}

std::uint64_t bootNanos() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

std::int64_t utcMicros() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

Result<std::string> bootId() {
  auto text = files::read("/proc/sys/kernel/random/boot_id", 128);
  if (!text) return text.error();
  auto id = std::move(text).value();
  while (!id.empty() && id.back() == '\n') id.pop_back();
  if (id.empty()) return Error{"counters", "boot id", "/proc/sys/kernel/random/boot_id", ENODATA};
  return id;
}

Result<std::uint64_t> usedBytes(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return errnoError("counters", "fstatfs");
  const auto unit = static_cast<std::uint64_t>(status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
  if (status.f_bfree > status.f_blocks) return Error{"counters", "fstatfs", "", ERANGE};
  return (status.f_blocks - status.f_bfree) * unit;
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return errnoError("counters", "fcntl", "F_DUPFD_CLOEXEC");
  return copy;
}

Result<std::uint64_t> inodeOf(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return errnoError("counters", "fstat");
  return status.st_ino;
}

Result<std::vector<Link>> dumpLinks() {
  return getLinks(Scope::all, "");
}

Result<Link> readLink(const std::string& name) {
  auto links = getLinks(Scope::one, name);
  if (!links) return links.error();
  return std::move(links->front());
}

}  // namespace cloister::counters
