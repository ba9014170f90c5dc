// Denials of AppArmor as their tenants' events: none twice, none of an earlier life, none of strangers.
#include "controlplane/node/denial_watch.h"

#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace cloister::node {
namespace {

// A launcher that has nothing but a log, and answers as the real one: those after a sequence, at most kMostDenials.
class LogOnly : public Launcher {
 public:
  Result<sandbox::Container> launch(const launcher::LaunchRequest&, const sandbox::Standard&) override { return no(); }
  Result<sandbox::ExecHandle> exec(const launcher::ExecRequest&, const sandbox::Standard&) override { return no(); }
  Status endExec(const launcher::EndExecRequest&) override { return no(); }
  Status signal(const launcher::SignalRequest&) override { return no(); }
  Status remove(const std::string&) override { return no(); }
  Result<UniqueFd> putTenant(const launcher::TenantPutRequest&) override { return no(); }
  Status removeTenant(TenantIndex) override { return no(); }
  Status mountLayer(const std::string&, int) override { return no(); }
  Status releaseLayer(const std::string&) override { return no(); }
  Result<std::vector<sandbox::Container>> recover() override { return no(); }
  Result<std::vector<launcher::NetworkUsage>> networkUsage() override { return no(); }
  Result<std::vector<launcher::PostureCheck>> posture() override { return no(); }
  Result<std::vector<launcher::Denial>> denials(std::uint64_t since) override {
    if (away) return no();
    std::vector<launcher::Denial> list;
    for (const auto& denial : log) {
      if (denial.sequence > since && list.size() < launcher::kMostDenials) list.push_back(denial);
    }
    return list;
  }

  void add(TenantIndex tenant, std::string target) {
    log.push_back({log.size() + 10, tenant, "open", std::move(target), "sh"});
  }
  std::vector<launcher::Denial> log;
  bool away = false;

 private:
  static Error no() { return {"fake", "ask", "", ECONNREFUSED}; }
};

TEST(DenialWatch, reportsEachOnceAndNothingOfAnEarlierLife) {
  LogOnly launcher;
  launcher.add(7, "/old");
  DenialWatch watch(launcher);
  watch.know({{7, "tn-7"}});
  EXPECT_TRUE(watch.poll().empty()) << "the life before has reported it";
  launcher.add(7, "/proc/sysrq-trigger");
  const auto events = watch.poll();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].tenantId, "tn-7");
  EXPECT_EQ(events[0].app, "");
  EXPECT_EQ(events[0].kind, "apparmor.denied");
  EXPECT_EQ(events[0].text, "open /proc/sysrq-trigger, by sh");
  EXPECT_TRUE(watch.poll().empty());
}

TEST(DenialWatch, dropsThoseOfTenantsThatAreNotHere) {
  LogOnly launcher;
  DenialWatch watch(launcher);
  watch.know({{7, "tn-7"}});
  EXPECT_TRUE(watch.poll().empty());
  launcher.add(8, "/a");
  launcher.add(7, "/b");
  ASSERT_EQ(watch.poll().size(), 1U);
}

TEST(DenialWatch, asksOnWhileAnswersAreFull) {
  LogOnly launcher;
  DenialWatch watch(launcher);
  watch.know({{7, "tn-7"}});
  EXPECT_TRUE(watch.poll().empty());
  for (std::size_t i = 0; i < 2 * launcher::kMostDenials + 3; ++i) launcher.add(7, "/x");
  EXPECT_EQ(watch.poll().size(), 2 * launcher::kMostDenials + 3);
}

TEST(DenialWatch, aLauncherThatIsAwayLosesNothing) {
  LogOnly launcher;
  DenialWatch watch(launcher);
  watch.know({{7, "tn-7"}});
  EXPECT_TRUE(watch.poll().empty());
  launcher.add(7, "/x");
  launcher.away = true;
  EXPECT_TRUE(watch.poll().empty());
  launcher.away = false;
  EXPECT_EQ(watch.poll().size(), 1U);
}

TEST(DenialWatch, textsOfProgramsBecomePrintable) {
  EXPECT_EQ(denialText({1, 7, "signal", "cloister-app-t00008", "a\nb\x1b[31m\xff"}),
            "signal cloister-app-t00008, by a?b?[31m?");
  EXPECT_EQ(denialText({1, 7, "mount", "", ""}), "mount");
}

}  // namespace
}  // namespace cloister::node
