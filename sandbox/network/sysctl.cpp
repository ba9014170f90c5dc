#include "sandbox/network/sysctl.h"

#include <unistd.h>

#include <cerrno>

#include "sandbox/base/files.h"
#include "sandbox/network/netlink_socket.h"

namespace cloister::network {

Status setSysctl(const std::string& path, std::string_view value) {
  const std::string file = "/proc/sys/net/" + path;
  auto now = files::read(file, 4096);
  if (!now) return failure("sysctl", path, now.error().code);
  if (now->substr(0, now->find('\n')) == value) return {};
  auto wrote = files::writeControl(file, value);
  if (!wrote) return failure("sysctl", path, wrote.error().code);
  return {};
}

Status disableIpv6(const std::string& name) {
  if (::access("/proc/sys/net/ipv6", F_OK) != 0 && errno == ENOENT) return {};
  return setSysctl("ipv6/conf/" + name + "/disable_ipv6", "1");
}

Status quietLink(const std::string& name) {
  if (auto done = disableIpv6(name); !done) return done;
  if (::access("/proc/sys/net/ipv6", F_OK) == 0) {
    if (auto done = setSysctl("ipv6/conf/" + name + "/accept_ra", "0"); !done) return done;
  }
  if (auto done = setSysctl("ipv4/conf/" + name + "/arp_ignore", "1"); !done) return done;
  if (auto done = setSysctl("ipv4/conf/" + name + "/accept_redirects", "0"); !done) return done;
  return setSysctl("ipv4/conf/" + name + "/route_localnet", "0");
}

}  // namespace cloister::network
