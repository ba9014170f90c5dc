// Runtime: the end of a container whose launch was not answered, and of one that still runs when it is to go.
#include "controlplane/node/runtime.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "sandbox/base/process.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::node {
namespace {

using launcher::DescriptorKind;
using metering::Meter;

// Knows one container, and carries out what a test says.
class OneContainer : public Launcher {
 public:
  Result<sandbox::Container> launch(const launcher::LaunchRequest&, const sandbox::Standard&) override {
    return gone();
  }
  Result<sandbox::ExecHandle> exec(const launcher::ExecRequest&, const sandbox::Standard&) override { return gone(); }
  Status endExec(const launcher::EndExecRequest&) override { return {}; }
  Status signal(const launcher::SignalRequest& request) override {
    if (onKill && request.target == launcher::SignalTarget::group) onKill();
    return {};
  }
  Status remove(const std::string& container) override {
    removed.push_back(container);
    return {};
  }
  Result<UniqueFd> putTenant(const launcher::TenantPutRequest&) override { return gone(); }
  Status removeTenant(TenantIndex) override { return {}; }
  Status mountLayer(const std::string&, int) override { return {}; }
  Status releaseLayer(const std::string&) override { return {}; }
  Result<std::vector<sandbox::Container>> recover() override {
    if (!answers) return gone();
    std::vector<sandbox::Container> all;
    sandbox::Container container;
    container.launched.instance = "in-1-1";
    container.launched.cgroupInode = 7;
    container.descriptors = group.descriptors();
    container.launched.pid = static_cast<std::uint32_t>(std::max(pid, 0));
    if (pid > 0) container.descriptors.emplace_back(DescriptorKind::pid, process::openPidfd(pid).value());
    all.push_back(std::move(container));
    return all;
  }
  Result<std::vector<launcher::NetworkUsage>> networkUsage() override {
    if (!answers) return gone();
    return usage;
  }
  Result<std::vector<launcher::PostureCheck>> posture() override { return gone(); }
  Result<std::vector<launcher::Denial>> denials(std::uint64_t) override { return gone(); }

  static Error gone() { return {"client", "receive", "launcher.sock", ECONNRESET}; }

  metering::ScratchDirectory scratch;
  metering::FakeGroup group{scratch.file("group")};
  std::function<void()> onKill;
  std::vector<std::string> removed;
  std::vector<launcher::NetworkUsage> usage;
  bool answers = true;
  pid_t pid = -1;
};

class RuntimeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(metering::Spool::open(launcher.scratch.file("spool.db"), "nd-1").ok());  // it has a past
    auto opened = MeterLoop::open(launcher.scratch.file("spool.db"), "nd-1", "boot", metering::hostKey(), launcher);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    meter = std::move(opened).value();
    layers = std::make_unique<LayerCache>(launcher.scratch.file("layers"), launcher.scratch.file("store"), FetchBlob(),
                                          launcher);
    runtime = std::make_unique<Runtime>(launcher, *layers, *meter);
  }
  std::uint64_t cpu() { return sumOf(Meter::cpu); }
  std::uint64_t sumOf(Meter wanted) {
    meter->stop();
    std::uint64_t sum = 0;
    const auto batches = meter->spool().pending(100);
    EXPECT_TRUE(batches.ok());
    for (const auto& batch : *batches) {
      for (const auto& row : batch.rows) {
        EXPECT_EQ(row.tenantId, "tn-1");
        if (row.meter == wanted) sum += row.quantity;
      }
    }
    return sum;
  }

  OneContainer launcher;
  std::unique_ptr<MeterLoop> meter;
  std::unique_ptr<LayerCache> layers;
  std::unique_ptr<Runtime> runtime;
  const Metered whose{"tn-1", "ap-1", "in-1", 1000};
};

TEST_F(RuntimeTest, AContainerOfAnUnansweredLaunchIsMeteredBeforeItGoes) {
  launcher.group.unified(5'000, 0);
  launcher.answers = false;
  EXPECT_FALSE(runtime->finishUnanswered("in-1-1", whose).ok()) << "to be tried again";
  EXPECT_TRUE(launcher.removed.empty());
  launcher.answers = true;
  ASSERT_TRUE(runtime->finishUnanswered("in-1-1", whose).ok());
  EXPECT_EQ(launcher.removed, (std::vector<std::string>{"in-1-1"}));
  ASSERT_TRUE(runtime->finishUnanswered("in-2-1", whose).ok()) << "one that never came to be is removed all the same";
  EXPECT_EQ(cpu(), 5'000'000U);
  EXPECT_TRUE(Runtime::lostReply(OneContainer::gone()));
  EXPECT_FALSE(Runtime::lostReply({"confine", "mount", "/proc", EPERM}));
}

TEST_F(RuntimeTest, WhatStillRunsIsKilledBeforeItsLastReading) {
  launcher.pid = ::fork();
  ASSERT_GE(launcher.pid, 0);
  if (launcher.pid == 0) {
    for (;;) ::pause();
  }
  launcher.group.unified(5'000, 0);
  launcher.onKill = [this] {
    launcher.group.unified(6'000, 0);  // what it spends until it is gone
    ::kill(launcher.pid, SIGKILL);
  };
  ASSERT_TRUE(runtime->finishUnanswered("in-1-1", whose).ok());
  EXPECT_EQ(::waitpid(launcher.pid, nullptr, 0), launcher.pid);
  EXPECT_EQ(cpu(), 6'000'000U);
}

TEST_F(RuntimeTest, AContainerThatIsFoundLivesSinceItsInitBegan) {
  const auto before = metering::now();
  launcher.pid = ::fork();
  ASSERT_GE(launcher.pid, 0);
  if (launcher.pid == 0) {
    for (;;) ::pause();
  }
  launcher.group.unified(5'000, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  launcher.onKill = [this] { ::kill(launcher.pid, SIGKILL); };
  ASSERT_TRUE(runtime->finishUnanswered("in-1-1", whose).ok());
  EXPECT_EQ(::waitpid(launcher.pid, nullptr, 0), launcher.pid);
  const auto most = (metering::now().bootNanos - before.bootNanos) / 1'000'000;
  const auto lived = sumOf(Meter::instanceSeconds);
  EXPECT_GE(lived, 480U);
  EXPECT_LE(lived, most);
}

TEST_F(RuntimeTest, AContainerIsMeteredThoughNoDescriptorWasLeft) {
  launcher.group.unified(5'000, 0);
  auto container = std::move(launcher.recover().value().front());
  container.descriptors.emplace_back(DescriptorKind::upper, files::openDirectory(launcher.scratch.file("")).value());
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const int free = ::fcntl(0, F_DUPFD_CLOEXEC, 0);  // the lowest there is
  ASSERT_GE(free, 0);
  ::close(free);
  const rlimit none{static_cast<rlim_t>(free), files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto added = meter->add(container, whose, metering::Origin::launched);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, EMFILE);
  EXPECT_TRUE(container.descriptors.empty()) << "they are the meter's, who tries again";
  ASSERT_TRUE(runtime->finish("in-1-1").ok());
  EXPECT_EQ(cpu(), 5'000'000U);
}

TEST_F(RuntimeTest, TenantsOwnGroupsAreReadOnceAWindowAndBeforeTheirEnd) {
  std::atomic<std::uint64_t> spent{1'000};
  std::atomic<int> asked{0};
  meter->setGroupCpu([&] {
    ++asked;
    Tenants::CpuOfGroups all;
    all.tenants.push_back({"tn-1", 7, spent});
    return all;
  });
  meter->start();
  std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
  EXPECT_GE(asked, 1);
  EXPECT_LE(asked, 2) << "of three readings";
  spent = 9'000;
  meter->readTenants();
  EXPECT_EQ(sumOf(Meter::groupCpu), 9'000U);
}

TEST_F(RuntimeTest, ATenantsLastReadingIsDurableBeforeItGoesAndItsNextBeginsAtZero) {
  const auto received = [this](std::uint64_t bytes) {
    launcher::NetworkUsage one;
    one.tenant = 7;
    one.externalReceivedBytes = bytes;
    launcher.usage = {one};
  };
  std::uint64_t inode = 3;
  std::uint64_t spent = 9'000;
  meter->setGroupCpu([&] {
    Tenants::CpuOfGroups all;
    all.tenants.push_back({"tn-1", inode, spent});
    return all;
  });
  meter->setTenants({{7, "tn-1"}});
  received(100);
  EXPECT_FALSE(meter->removeTenant(7, [] { return Status(OneContainer::gone()); }).ok());
  launcher.answers = false;
  const auto notRead = []() {
    ADD_FAILURE() << "its last bytes are not known";
    return Status();
  };
  EXPECT_FALSE(meter->removeTenant(7, notRead).ok());
  launcher.answers = true;
  received(130);
  meter->setTenants({{8, "tn-2"}});  // it is not wanted any more, and not gone yet
  const auto done = meter->removeTenant(7, [this] {
    const auto stored = metering::Spool::open(launcher.scratch.file("spool.db"), "nd-1").value()->load();
    const auto& sums = stored->networks.all().at("tn-1").sums;
    EXPECT_EQ(sums.of(Meter::networkExternalIn), 130U);
    EXPECT_EQ(sums.of(Meter::groupCpu), 9'000U);
    return Status();
  });
  EXPECT_TRUE(done.ok()) << done.error().message();
  inode = 4;
  spent = 500;
  received(20);
  meter->setTenants({{7, "tn-1"}});
  meter->readTenants();
  EXPECT_EQ(sumOf(Meter::networkExternalIn), 150U);
  EXPECT_EQ(sumOf(Meter::groupCpu), 9'500U);
  EXPECT_EQ(sumOf(Meter::gap), 0U);
}

}  // namespace
}  // namespace cloister::node
