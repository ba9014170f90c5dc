// An app's own list of system calls: how it grows, what it does to containers, what is flagged.
#include "controlplane/reconcile/call_profiles.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>

#include "controlplane/reconcile/deployments.h"
#include "policy/model/call_profile.h"

namespace cloister::reconcile {
namespace {

using model::CallMode;
using model::OtherCalls;

class CallProfiles : public ::testing::Test {
 protected:
  void SetUp() override {
    model::PlanLimits limits;
    limits.memoryBytes = limits.diskBytes = limits.buildMemoryBytes = limits.buildDiskBytes = 1ULL << 30U;
    limits.buildSeconds = 600;
    limits.cpuMillis = 1000;
    limits.pids = limits.inodes = 1000;
    limits.apps = limits.instances = 3;
    store_.plans().create("small", limits);
    tenant_ = store_.tenants().create("demo", "small");
    app_ = store_.apps().create(tenant_.id, "hello");
  }

  void change(const Deployments::ProfileChange& change) { (void)deployments_.setCallProfile(app_.id, change, "tk-1"); }
  void learn(std::int64_t seconds = 3600) { change({.mode = CallMode::learn, .learnSeconds = seconds}); }
  void take(Caller caller, const std::vector<std::uint32_t>& calls) {
    store_.transact([&] { takeCalls(store_, app_, caller, calls); });
  }
  [[nodiscard]] std::vector<std::uint32_t> listed() { return appCallList(store_, app_.id).calls; }
  [[nodiscard]] std::vector<std::string> events(const std::string& kind) {
    std::vector<std::string> texts;
    for (const auto& event : store_.events().list(tenant_.id, app_.name)) {
      if (event.kind == kind) texts.push_back(event.text);
    }
    return texts;
  }
  template <typename Kind>
  void refuses(const Deployments::ProfileChange& wrong, const std::string& field) {
    try {
      change(wrong);
      FAIL() << "accepted: " << field;
    } catch (const Kind& refusal) {
      EXPECT_EQ(refusal.field(), field);
    }
  }

  store::Store store_{{":memory:", ""}};
  Deployments deployments_{store_, {}};
  model::Tenant tenant_;
  model::App app_;
};

using Numbers = std::vector<std::uint32_t>;

TEST_F(CallProfiles, WithoutOneTheClassHoldsAlone) {
  EXPECT_EQ(appCallList(store_, app_.id).others, OtherCalls::open);
  EXPECT_EQ(buildCallList(store_, app_.id).others, OtherCalls::open);
  take(Caller::app, {SYS_mkdir});
  EXPECT_TRUE(store_.callProfiles().calls(app_.id).empty());
}

TEST_F(CallProfiles, LearningTakesInWhatAppAndBuildsCall) {
  learn();
  EXPECT_EQ(appCallList(store_, app_.id).others, OtherCalls::report);
  take(Caller::app, {SYS_mkdir, SYS_bind});
  take(Caller::build, {SYS_flock, SYS_chroot});
  take(Caller::app, {SYS_mkdir});
  EXPECT_EQ(listed(), (Numbers{SYS_bind, SYS_flock, SYS_mkdir})) << "chroot is no call of the app class";
  EXPECT_EQ(buildCallList(store_, app_.id).calls, (Numbers{SYS_flock, SYS_chroot}));
  change({.builds = false});
  EXPECT_EQ(listed(), (Numbers{SYS_bind, SYS_mkdir}));
  EXPECT_TRUE(events("profile.flagged").empty());
}

TEST_F(CallProfiles, WhatNoContainerCanHaveCalledIsNotBelieved) {
  learn();
  take(Caller::app, {SYS_init_module, kMostCalls, 0xffffffffU, SYS_chroot});
  EXPECT_TRUE(store_.callProfiles().calls(app_.id).empty());
}

TEST_F(CallProfiles, EnforcingRefusesAndFlagsOnce) {
  refuses<store::Conflict>({.mode = CallMode::enforce}, "mode");
  learn();
  take(Caller::app, {SYS_mkdir});
  change({.mode = CallMode::enforce});
  EXPECT_EQ(appCallList(store_, app_.id).others, OtherCalls::refuse);
  EXPECT_EQ(buildCallList(store_, app_.id).others, OtherCalls::open) << "builds are never refused anything by it";
  take(Caller::app, {SYS_mkdir, SYS_flock});
  take(Caller::app, {SYS_mkdir, SYS_flock});
  EXPECT_EQ(events("profile.refused").size(), 1U);
  EXPECT_NE(events("profile.refused").at(0).find("flock"), std::string::npos);
  EXPECT_EQ(listed(), Numbers{SYS_mkdir});
}

TEST_F(CallProfiles, LearningEndsByItselfInGrace) {
  learn();
  take(Caller::app, {SYS_mkdir});
  auto profile = store_.callProfiles().get(app_.id);
  profile.learnUntil = store::now() - 1;
  store_.callProfiles().set(app_.id, profile);
  EXPECT_EQ(modeNow(store_.callProfiles().get(app_.id)), CallMode::grace);
  take(Caller::app, {SYS_mkdir, SYS_flock});
  take(Caller::build, {SYS_fsync});
  EXPECT_EQ(listed(), Numbers{SYS_mkdir});
  EXPECT_EQ(appCallList(store_, app_.id).others, OtherCalls::report) << "it goes on";
  EXPECT_EQ(events("profile.flagged").size(), 1U);
  EXPECT_EQ(events("profile.learned").size(), 1U);
}

// The build was seen to make it, but builds do not count: the app's first call of it is news, and does not list it.
TEST_F(CallProfiles, AFlagListsNothing) {
  learn();
  take(Caller::app, {SYS_mkdir});
  take(Caller::build, {SYS_flock});
  change({.mode = CallMode::grace, .builds = false});
  take(Caller::app, {SYS_flock});
  EXPECT_EQ(listed(), Numbers{SYS_mkdir});
  EXPECT_EQ(events("profile.flagged").size(), 1U);
}

TEST_F(CallProfiles, CallsCanBeNamedAndForgotten) {
  learn();
  take(Caller::app, {SYS_mkdir, SYS_flock});
  change({.mode = CallMode::enforce, .allow = {"fsync"}, .forget = {"flock"}});
  EXPECT_EQ(listed(), (Numbers{SYS_fsync, SYS_mkdir}));
  learn();
  change({.anew = true});
  EXPECT_TRUE(listed().empty());
}

TEST_F(CallProfiles, BadChangesNameTheirField) {
  refuses<store::Invalid>({.allow = {"init_module"}}, "allow");
  refuses<store::Invalid>({.allow = {"chroot"}}, "allow");
  refuses<store::Invalid>({.forget = {"no_such_call"}}, "forget");
  refuses<store::Invalid>({.mode = CallMode::learn, .learnSeconds = 0}, "learn_seconds");
  refuses<store::Invalid>({.mode = CallMode::grace, .learnSeconds = 60}, "learn_seconds");
  EXPECT_EQ(store_.callProfiles().get(app_.id).mode, CallMode::off);
}

TEST_F(CallProfiles, GoWithTheirApp) {
  learn();
  take(Caller::app, {SYS_mkdir});
  store_.apps().erase(app_.id);
  EXPECT_TRUE(store_.callProfiles().calls(app_.id).empty());
}

}  // namespace
}  // namespace cloister::reconcile
