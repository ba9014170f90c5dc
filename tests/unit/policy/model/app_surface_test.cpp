// What of the kernel an app can reach, counted by calling all of it under the app class's filter: the figures of
// SECURITY.md.
#include <linux/audit.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <set>

#include <gtest/gtest.h>

#include "policy/parse/syscall_names.h"
#include "tests/unit/policy/model/harmless_calls.h"

namespace cloister::policy {
namespace {

using launcher::Confinement;
using Arguments = std::array<std::uint64_t, 6>;

HarmlessCall callOf(int number, const Arguments& arguments) {
  HarmlessCall one;
  one.call.nr = number;
  one.call.arch = AUDIT_ARCH_X86_64;
  std::copy(arguments.begin(), arguments.end(), one.call.args);
  return one;
}

std::vector<HarmlessCall> passing(std::vector<HarmlessCall> calls, Confinement confinement = Confinement::app) {
  callAllHarmlessly(filterOf(confinement), calls);
  std::erase_if(calls, [](const HarmlessCall& one) { return one.answered != kWouldPass; });
  return calls;
}

// How many calls pass with any arguments.
std::size_t reachedUnder(Confinement confinement) {
  const auto& profile = profileFor(confinement);
  std::vector<HarmlessCall> calls;
  for (unsigned number = 0; number < kMostCalls; ++number) {
    if (passesEveryFilter(number)) continue;
    calls.push_back(callOf(static_cast<int>(number), {}));
    for (const auto& rule : profile.rules) {
      if (rule.number != number || rule.denyErrno != 0) continue;
      Arguments arguments{};
      for (const auto& test : rule.tests) arguments.at(test.argument) = test.value;
      calls.push_back(callOf(static_cast<int>(number), arguments));
    }
  }
  std::set<int> reached;
  for (const auto& one : passing(std::move(calls), confinement)) reached.insert(one.call.nr);
  EXPECT_EQ(reached.size(), allowedCount(profile)) << profile.name;
  return reached.size();
}

// The table of SECURITY.md. 247 is what a profile of a known engine that was cut by hand lets through.
TEST(AppSurface, isBelowTheBestProfileThatWasCutByHand) {
  const auto app = reachedUnder(Confinement::app);
  const auto exec = reachedUnder(Confinement::exec);
  const auto build = reachedUnder(Confinement::build);
  const auto freeze = reachedUnder(Confinement::freeze);
  EXPECT_LT(app, 247U);
  EXPECT_GE(app, 150U) << "a list this short cannot run a web app";
  EXPECT_EQ(exec, app);
  EXPECT_LE(build, app + 10) << "a build is an app that is root";
  EXPECT_LT(freeze, app);
  std::printf("system calls that reach the kernel: app %zu, exec %zu, build %zu, freeze %zu\n", app, exec, build,
              freeze);
}

TEST(AppSurface, isArguedCallByCall) {
  std::set<unsigned> named;
  for (const auto& rule : profileFor(Confinement::app).rules) named.insert(rule.number);
  unsigned known = 0;
  for (unsigned number = 0; number < kMostCalls; ++number) {
    const auto name = syscallName(number);
    if (!name || passesEveryFilter(number)) continue;
    ++known;
    EXPECT_TRUE(named.contains(number)) << *name << ": policy/profiles/app.toml says nothing of it";
  }
  EXPECT_GE(known, 375U);
}

TEST(AppSurface, isFourSocketFamiliesWithTheirOrdinaryTypesAndProtocols) {
  std::vector<HarmlessCall> calls;
  for (unsigned family = 0; family < 64; ++family) {
    for (unsigned type = 0; type < 16; ++type) {
      for (unsigned protocol = 0; protocol <= 263; ++protocol) {
        calls.push_back(callOf(SYS_socket, {family, type | SOCK_CLOEXEC, protocol}));
      }
    }
  }
  std::set<std::array<std::uint64_t, 3>> others;
  std::set<std::uint64_t> unixTypes;
  for (const auto& one : passing(std::move(calls))) {
    const std::uint64_t type = one.call.args[1] & 0xfU;
    if (one.call.args[0] == AF_UNIX) {
      unixTypes.insert(type);  // the kernel itself refuses any protocol but its own
    } else {
      others.insert({one.call.args[0], type, one.call.args[2]});
    }
  }
  const std::set<std::array<std::uint64_t, 3>> wanted = {
      {AF_INET, SOCK_STREAM, 0},  {AF_INET, SOCK_STREAM, 6},  {AF_INET, SOCK_DGRAM, 0},   {AF_INET, SOCK_DGRAM, 17},
      {AF_INET, SOCK_DGRAM, 1},   {AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_STREAM, 6}, {AF_INET6, SOCK_DGRAM, 0},
      {AF_INET6, SOCK_DGRAM, 17}, {AF_NETLINK, SOCK_RAW, 0},  {AF_NETLINK, SOCK_DGRAM, 0}};
  EXPECT_EQ(others, wanted);
  EXPECT_EQ(unixTypes, (std::set<std::uint64_t>{SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}));
}

TEST(AppSurface, hasNoUrgentDataAndNoProgramsOnSockets) {
  std::vector<HarmlessCall> calls;
  for (std::uint64_t flags = 0; flags < 0x10000; ++flags) {
    for (const int number : {SYS_sendto, SYS_recvfrom, SYS_sendmmsg, SYS_recvmmsg}) {
      calls.push_back(callOf(number, {0, 0, 0, flags | (flags << 32U)}));
    }
    for (const int number : {SYS_sendmsg, SYS_recvmsg}) calls.push_back(callOf(number, {0, 0, flags}));
  }
  const auto sent = calls.size();
  const auto passed = passing(std::move(calls));
  EXPECT_EQ(passed.size(), sent / 2);
  for (const auto& one : passed) {
    const bool message = one.call.nr == SYS_sendmsg || one.call.nr == SYS_recvmsg;
    ASSERT_EQ(one.call.args[message ? 2 : 3] & MSG_OOB, 0U);
  }
  std::vector<HarmlessCall> options;
  for (std::uint64_t level = 0; level < 300; ++level) {
    for (std::uint64_t option = 0; option < 100; ++option)
      options.push_back(callOf(SYS_setsockopt, {0, level, option}));
  }
  std::set<std::uint64_t> refused;
  callAllHarmlessly(filterOf(Confinement::app), options);
  for (const auto& one : options) {
    if (one.answered == kWouldPass) continue;
    EXPECT_EQ(one.call.args[1], static_cast<std::uint64_t>(SOL_SOCKET));
    refused.insert(one.call.args[2]);
  }
  EXPECT_EQ(refused, (std::set<std::uint64_t>{SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF,
                                              SO_ATTACH_REUSEPORT_EBPF}));
}

TEST(AppSurface, isAShortListOfIoctlsUnderAnyHighBits) {
  constexpr std::array<std::uint64_t, 4> kDangerous = {TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS};
  std::set<std::uint64_t> listed;
  for (const auto& rule : profileFor(Confinement::app).rules) {
    if (rule.number == SYS_ioctl && rule.denyErrno == 0) listed.insert(rule.tests.front().value);
  }
  std::vector<HarmlessCall> calls;
  for (std::uint64_t request = 0; request < 0x10000; ++request) calls.push_back(callOf(SYS_ioctl, {0, request}));
  for (unsigned bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t request : kDangerous) {
      calls.push_back(callOf(SYS_ioctl, {0, request | (1ULL << bit)}));
      calls.push_back(callOf(SYS_ioctl, {0, request | (~0ULL << bit)}));
    }
    for (const std::uint64_t request : listed) calls.push_back(callOf(SYS_ioctl, {0, request ^ (1ULL << bit)}));
  }
  std::set<std::uint64_t> reached;
  for (const auto& one : passing(std::move(calls))) reached.insert(one.call.args[1] & 0xffffffffU);
  EXPECT_TRUE(std::includes(listed.begin(), listed.end(), reached.begin(), reached.end()));
  for (const std::uint64_t request : kDangerous) EXPECT_FALSE(reached.contains(request));
  EXPECT_EQ(reached.size(), listed.size());
  std::printf("%zu ioctl requests reach the kernel from an app\n", reached.size());
}

TEST(AppSurface, makesNoNamespaceByClone) {
  std::vector<HarmlessCall> calls;
  constexpr std::uint64_t kNamespaces = 0x7e020000;
  for (unsigned bit = 0; bit < 64; ++bit) {
    calls.push_back(callOf(SYS_clone, {1ULL << bit}));
    calls.push_back(callOf(SYS_clone, {(1ULL << bit) | SIGCHLD | 0xdeadbeefULL << 32U}));
  }
  for (const auto& one : passing(std::move(calls))) EXPECT_EQ(one.call.args[0] & kNamespaces, 0U);
}

}  // namespace
}  // namespace cloister::policy
