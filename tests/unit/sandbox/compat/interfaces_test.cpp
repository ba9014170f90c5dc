// libcloister-interfaces.so under the app class's filter, beside what glibc says without one.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/policy/model/filtered_process.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;

struct Library {
  decltype(&::getifaddrs) addresses = nullptr;
  decltype(&::freeifaddrs) freeAddresses = nullptr;
  decltype(&::if_nameindex) names = nullptr;
  decltype(&::if_freenameindex) freeNames = nullptr;
};

template <typename Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
}

Library load() {
  Library loaded;
  void* library = ::dlopen(CLOISTER_INTERFACES, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return loaded;
  find(library, "getifaddrs", loaded.addresses);
  find(library, "freeifaddrs", loaded.freeAddresses);
  find(library, "if_nameindex", loaded.names);
  find(library, "if_freenameindex", loaded.freeNames);
  return loaded;
}

std::string textOf(const sockaddr* address) {
  std::string text(INET6_ADDRSTRLEN, '\0');
  if (address == nullptr) return "none";
  // Read as what its family says it is, as every user of getifaddrs does.
  const void* bytes = address->sa_family == AF_INET
                          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
                          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  return ::inet_ntop(address->sa_family, bytes, text.data(), static_cast<socklen_t>(text.size())) == nullptr
             ? "none"
             : std::string(text.c_str());
}

// "family address/mask up loopback" of every internet address of the loopback interface.
std::set<std::string> loopback(const ifaddrs* list) {
  std::set<std::string> found;
  for (; list != nullptr; list = list->ifa_next) {
    if (std::string(list->ifa_name) != "lo" || list->ifa_addr == nullptr) continue;
    const int family = list->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    found.insert(std::to_string(family) + " " + textOf(list->ifa_addr) + "/" + textOf(list->ifa_netmask) + " " +
                 std::to_string(list->ifa_flags & (IFF_UP | IFF_LOOPBACK)));
  }
  return found;
}

TEST(Interfaces, answerUnderTheAppsFilterAsGlibcDoesWithout) {
  const Library library = load();
  ASSERT_NE(library.addresses, nullptr) << ::dlerror();
  ASSERT_NE(library.freeAddresses, nullptr);
  ifaddrs* all = nullptr;
  ASSERT_EQ(::getifaddrs(&all), 0);
  const auto wanted = loopback(all);
  ::freeifaddrs(all);
  ASSERT_FALSE(wanted.empty()) << "needs a loopback interface that is up";
  const Ending ending = runFiltered(filterOf(Confinement::app), [&] {
    ifaddrs* list = nullptr;
    if (library.addresses(&list) != 0) return 1;
    const bool same = loopback(list) == wanted;
    library.freeAddresses(list);
    return same ? 0 : 2;
  });
  EXPECT_EQ(ending.code, 0) << "signal " << ending.signal;
}

TEST(Interfaces, areNamedUnderTheAppsFilter) {
  const Library library = load();
  ASSERT_NE(library.names, nullptr) << ::dlerror();
  ASSERT_NE(library.freeNames, nullptr);
  const Ending ending = runFiltered(filterOf(Confinement::app), [&] {
    struct if_nameindex* list = library.names();
    if (list == nullptr) return 1;
    bool found = false;
    for (const struct if_nameindex* one = list; one->if_name != nullptr; ++one) {
      found = found || (std::string(one->if_name) == "lo" && one->if_index == ::if_nametoindex("lo"));
    }
    library.freeNames(list);
    return found ? 0 : 2;
  });
  EXPECT_EQ(ending.code, 0) << "signal " << ending.signal;
}

// An app of the whole class needs no library for it; one that was narrowed to a list without netlink does.
TEST(Interfaces, ofGlibcAreListedByNetlink) {
  const Ending ending = runFiltered(filterOf(Confinement::app), [] {
    ifaddrs* list = nullptr;
    return ::getifaddrs(&list) == 0 ? 0 : errno;
  });
  EXPECT_EQ(ending.code, 0);
}

}  // namespace
}  // namespace cloister::policy
