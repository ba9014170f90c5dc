// Narrowed containers: what the list lacks is reported and goes on, or is refused; the class stays the limit.
#include <sys/syscall.h>

#include <csignal>
#include <set>
#include <sstream>

#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

using launcher::Confinement;
using launcher::OtherCalls;

std::set<std::string> linesOf(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

std::string lineOf(long number) {
  return "call " + std::to_string(number);
}

std::vector<std::uint32_t> callsIn(const std::string& status) {
  std::vector<std::uint32_t> calls;
  std::istringstream in(status);
  for (std::string word, number; in >> word >> number;) {
    if (word == "call") calls.push_back(static_cast<std::uint32_t>(std::stoul(number)));
  }
  return calls;
}

class CallProfileTest : public LauncherTest {
 protected:
  [[nodiscard]] launcher::LaunchRequest narrowed(const std::string& instance, const std::string& command,
                                                 OtherCalls others,
                                                 const std::vector<std::uint32_t>& calls = {}) const {
    auto wanted = request(instance, command);
    wanted.otherCalls = others;
    wanted.calls = callSet(calls);
    return wanted;
  }
};

constexpr const char* kMakesADirectory = "busybox mkdir /tmp/d; test -d /tmp/d && echo made";

TEST_F(CallProfileTest, WhatIsReportedGoesOn) {
  for (const auto confinement : {Confinement::app, Confinement::build}) {
    auto wanted = narrowed(confinement == Confinement::app ? "app" : "build", kMakesADirectory, OtherCalls::report);
    wanted.confinement = confinement;
    const auto outcome = run(wanted);
    EXPECT_EQ(outcome.output, "made\n");
    const auto lines = linesOf(outcome.status);
    EXPECT_TRUE(lines.contains(lineOf(SYS_mkdir))) << outcome.status;
    EXPECT_TRUE(outcome.status.ends_with("\nexit 0\n")) << outcome.status;
    EXPECT_FALSE(lines.contains(lineOf(SYS_read))) << "of the floor";
  }
}

TEST_F(CallProfileTest, WhatIsRefusedDoesNotHappenAndIsReported) {
  const auto outcome = run(narrowed("app", kMakesADirectory, OtherCalls::refuse));
  EXPECT_NE(outcome.output.find("Function not implemented"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find("made"), std::string::npos) << outcome.output;
  EXPECT_TRUE(linesOf(outcome.status).contains(lineOf(SYS_mkdir))) << outcome.status;
}

TEST_F(CallProfileTest, WhatIsListedGoesOnUnasked) {
  const auto calls = callsIn(run(narrowed("learns", kMakesADirectory, OtherCalls::report)).status);
  const auto outcome = run(narrowed("keeps", kMakesADirectory, OtherCalls::refuse, calls));
  EXPECT_EQ(outcome.output, "made\n");
  EXPECT_EQ(outcome.status, "exit 0\n");
}

// Interfaces are listed by rtnetlink, as everywhere: no call of it is on the floor, and none needs to be.
TEST_F(CallProfileTest, InterfacesAreLearnedToBeListed) {
  constexpr const char* kLists = "ip -o link | busybox grep -c LOOPBACK";
  const auto learned = run(narrowed("learns", kLists, OtherCalls::report));
  ASSERT_EQ(learned.output, "1\n");
  EXPECT_TRUE(linesOf(learned.status).contains(lineOf(SYS_socket))) << learned.status;
  const auto outcome = run(narrowed("keeps", kLists, OtherCalls::refuse, callsIn(learned.status)));
  EXPECT_EQ(outcome.output, "1\n");
  EXPECT_EQ(outcome.status, "exit 0\n");
  EXPECT_EQ(run(narrowed("lacks", kLists, OtherCalls::refuse)).output.find("1\n"), std::string::npos);
}

// In every mode, with every call listed: nobody is asked about what the class closes.
TEST_F(CallProfileTest, TheClassStaysTheLimit) {
  std::vector<std::uint32_t> every;
  for (std::uint32_t number = 0; number < kMostCalls; ++number) every.push_back(number);
  const std::string command = "busybox unshare -m true; busybox chroot / true; busybox mknod /tmp/n c 1 3; echo ended";
  for (const auto others : {OtherCalls::report, OtherCalls::refuse}) {
    for (const auto& calls : {std::vector<std::uint32_t>(), every}) {
      const auto outcome = run(narrowed("app", command, others, calls));
      const auto lines = linesOf(outcome.status);
      for (const long closed : {SYS_unshare, SYS_chroot}) {
        EXPECT_FALSE(lines.contains(lineOf(closed))) << outcome.status;
      }
      EXPECT_EQ(linesOf(outcome.output).size(), 4U) << "three complaints and the end: " << outcome.output;
    }
  }
}

// cloister-init is the one who answers, so it must never be the one who asks.
TEST_F(CallProfileTest, TheFloorIsEnoughForALife) {
  EXPECT_EQ(run(narrowed("true", "true", OtherCalls::refuse)).status, "exit 0\n");
  EXPECT_EQ(run(narrowed("false", "exit 7", OtherCalls::refuse)).status, "exit 7\n");
  const auto memory = run(narrowed("memory", "busybox free", OtherCalls::refuse));
  EXPECT_NE(memory.output.find("Mem:"), std::string::npos) << "sysinfo(2): " << memory.output << memory.status;
  auto sleeps = launch(narrowed("sleeps", "sleep 30", OtherCalls::report));
  ASSERT_TRUE(sleeps) << sleeps.error().message();
  ASSERT_TRUE(client_->signal({"sleeps", SIGTERM, launcher::SignalTarget::init}));
  EXPECT_TRUE(linesOf(finish("sleeps", *sleeps).status).contains("signal 15"));
}

TEST_F(CallProfileTest, OneCallIsOneLineHoweverOftenItComes) {
  const auto outcome = run(narrowed(
      "app", "i=0; while [ $i -lt 200 ]; do busybox mkdir /tmp/d; busybox rmdir /tmp/d; i=$((i+1)); done; echo done",
      OtherCalls::report));
  EXPECT_EQ(outcome.output, "done\n");
  EXPECT_EQ(linesOf(outcome.status).count(lineOf(SYS_rmdir)), 1U);
  EXPECT_LT(outcome.status.size(), 1024U) << outcome.status;
}

TEST_F(CallProfileTest, AnExecedProcessHasItsOwnClass) {
  auto container = launch(narrowed("app", "sleep 30", OtherCalls::refuse, {SYS_nanosleep, SYS_clock_nanosleep}));
  ASSERT_TRUE(container) << container.error().message();
  EXPECT_EQ(exec("app", {"/bin/sh", "-c", "busybox mkdir /tmp/e && echo made"}).output, "made\n");
  ASSERT_TRUE(client_->signal({"app", SIGKILL, launcher::SignalTarget::group}));
  (void)finish("app", *container);
}

TEST_F(CallProfileTest, ARequestThatContradictsItselfIsRefused) {
  auto wanted = narrowed("app", "true", OtherCalls::open, {SYS_mkdir});
  auto refused = launch(wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().path, "calls");
}

}  // namespace
}  // namespace cloister::test
