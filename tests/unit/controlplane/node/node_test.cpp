#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "controlplane/node/build_script.h"
#include "controlplane/node/config.h"
#include "controlplane/node/health.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/layers.h"
#include "controlplane/node/runtime.h"
#include "controlplane/node/session_channel.h"
#include "controlplane/node/sha256.h"
#include "controlplane/node/work_source.h"
#include "sandbox/base/files.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

class TemporaryDirectory : public testing::Test {
 protected:
  TemporaryDirectory() {
    std::string pattern = testing::TempDir() + "cloister-node-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ + "/" + name) << text; }
  std::string root_;
};

// Answers what a test wants, and remembers what it was asked.
class FakeLauncher : public Launcher {
 public:
  Result<sandbox::Container> launch(const launcher::LaunchRequest&, const sandbox::Standard&) override {
    return Error{"fake", "launch", "", ENOSYS};
  }
  Result<sandbox::ExecHandle> exec(const launcher::ExecRequest&, const sandbox::Standard&) override {
    return Error{"fake", "exec", "", ENOSYS};
  }
  Status signal(const launcher::SignalRequest&) override { return {}; }
  Status remove(const std::string&) override { return {}; }
  Result<UniqueFd> putTenant(const launcher::TenantPutRequest& request) override {
    puts.push_back(request);
    return UniqueFd(::open(group.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  Status removeTenant(TenantIndex) override { return {}; }
  Status mountLayer(const std::string& digest, int) override {
    mounted.push_back(digest);
    return mountError == 0 ? Status() : Status(Error{"fake", "mount", digest, mountError});
  }
  Status releaseLayer(const std::string& digest) override {
    released.push_back(digest);
    return releaseError == 0 ? Status() : Status(Error{"fake", "release", digest, releaseError});
  }
  Result<std::vector<sandbox::Container>> recover() override { return std::vector<sandbox::Container>(); }
  Result<std::vector<launcher::NetworkUsage>> networkUsage() override { return std::vector<launcher::NetworkUsage>(); }
  Result<std::vector<launcher::PostureCheck>> posture() override { return std::vector<launcher::PostureCheck>(); }
  Result<std::vector<launcher::Denial>> denials(std::uint64_t) override { return std::vector<launcher::Denial>(); }

  std::vector<std::string> mounted;
  std::vector<std::string> released;
  std::vector<launcher::TenantPutRequest> puts;
  std::string group = "/nowhere";
  int mountError = 0;
  int releaseError = 0;
};

std::string digestOf(const std::string& bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

TEST(Sha256, KnowsTheStandardsExample) {
  EXPECT_EQ(digestOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

class Layers : public TemporaryDirectory {
 protected:
  FetchBlob serving(const std::string& bytes) {
    return [this, bytes](const std::string&, const BlobSink& sink) {
      ++fetched_;
      sink(bytes.substr(0, bytes.size() / 2));
      sink(bytes.substr(bytes.size() / 2));
    };
  }
  FakeLauncher launcher_;
  int fetched_ = 0;
};

TEST_F(Layers, FetchesAndMountsOnce) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, serving("image"), launcher_);
  ASSERT_TRUE(cache.ensure({digest}).ok());
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1);
  EXPECT_EQ(launcher_.mounted.size(), 1U);
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
  cache.forgetMounts();
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1) << "a launcher that restarted needs the mount, not the bytes";
  EXPECT_EQ(launcher_.mounted.size(), 2U);
  LayerCache nextLife(root_, serving("image"), launcher_);
  ASSERT_TRUE(nextLife.ensure({digest}).ok());
  EXPECT_EQ(fetched_, 1);
}

TEST_F(Layers, OtherBytesAreNeverKept) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, serving("imagE"), launcher_);
  const auto done = cache.ensure({digest});
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, EBADMSG);
  EXPECT_TRUE(fs::is_empty(root_));
  EXPECT_TRUE(launcher_.mounted.empty());
}

TEST_F(Layers, ABrokenDownloadIsBegunAnew) {
  const std::string digest = digestOf("image");
  bool breaks = true;
  LayerCache cache(
      root_,
      [&](const std::string&, const BlobSink& sink) {
        sink("ima");
        if (breaks) throw std::runtime_error("connection lost");
        sink("ge");
      },
      launcher_);
  ASSERT_FALSE(cache.ensure({digest}).ok());
  EXPECT_FALSE(fs::exists(cache.path(digest)));
  breaks = false;
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
}

TEST_F(Layers, NoDigestNoPath) {
  LayerCache cache(root_, serving("x"), launcher_);
  for (const std::string bad : {"", "..", "../../etc/passwd", "ABCDEF", "zz"}) {
    const auto done = cache.ensure({bad});
    ASSERT_FALSE(done.ok()) << bad;
    EXPECT_EQ(done.error().code, EINVAL);
  }
  EXPECT_EQ(fetched_, 0);
}

TEST_F(Layers, AFileThatTheLauncherFindsDamagedIsFetchedAgain) {
  const std::string digest = digestOf("image");
  write(digest, "rotten");
  LayerCache cache(root_, serving("image"), launcher_);
  launcher_.mountError = EBADMSG;
  ASSERT_FALSE(cache.ensure({digest}).ok());
  launcher_.mountError = 0;
  ASSERT_TRUE(cache.ensure({digest}).ok());
  EXPECT_EQ(files::read(cache.path(digest)).value(), "image");
}

TEST_F(Layers, CollectsOnlyWhatStayedUnnamedForAWhile) {
  const std::string digest = digestOf("image");
  LayerCache cache(root_, serving("image"), launcher_);
  ASSERT_TRUE(cache.ensure({digest}).ok());
  const auto start = LayerCache::Clock::now();
  EXPECT_TRUE(cache.collect({}, start).empty());
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed / 2).empty());
  EXPECT_TRUE(cache.collect({digest}, start + LayerCache::kKeepUnnamed * 2).empty())
      << "named again: the clock restarts";
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 3).empty());
  launcher_.releaseError = EBUSY;
  EXPECT_TRUE(cache.collect({}, start + LayerCache::kKeepUnnamed * 4).empty()) << "in use: kept";
  EXPECT_TRUE(fs::exists(cache.path(digest)));
  launcher_.releaseError = 0;
  EXPECT_EQ(cache.collect({}, start + LayerCache::kKeepUnnamed * 5), (std::vector<std::string>{digest}));
  EXPECT_FALSE(fs::exists(cache.path(digest)));
}

class TenantGroups : public TemporaryDirectory {};

TEST_F(TenantGroups, SayHowLongTheirProcessesWaited) {
  FakeLauncher launcher;
  launcher.group = root_;
  write("cpu.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  EXPECT_TRUE(tenants.pressures().empty());
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  const auto told = tenants.pressures();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tenantId + " " + told[0].resource + " " + told[0].kind, "tn-1 cpu some");
  EXPECT_EQ(told[0].micros, 7U);
  ASSERT_TRUE(tenants.remove(7).ok());
  EXPECT_TRUE(tenants.pressures().empty());
}

TEST_F(TenantGroups, SayWhatTheirOwnGroupSpent) {
  FakeLauncher launcher;
  launcher.group = root_;
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  ASSERT_TRUE(tenants.ensure(tenant).ok()) << "a group without the file is no reason to refuse the tenant";
  EXPECT_TRUE(tenants.groupCpu().tenants.empty());
  EXPECT_FALSE(tenants.groupCpu().host);
  tenants.forget();
  write("cpu.stat", "usage_usec 12\nuser_usec 5\n");
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  write("cpu.stat", "usage_usec 34\nuser_usec 5\n");
  const auto told = tenants.groupCpu().tenants;
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tenantId, "tn-1");
  EXPECT_EQ(told[0].nanos, 34'000U);
  EXPECT_NE(told[0].inode, 0U);
}

TEST_F(TenantGroups, SayWhatAllOfThemAndTheirHostSpent) {
  fs::create_directories(root_ + "/cloister/t7");
  write("cpu.stat", "usage_usec 900\n");
  write("cloister/cpu.stat", "usage_usec 50\n");
  write("cloister/t7/cpu.stat", "usage_usec 12\n");
  FakeLauncher launcher;
  launcher.group = root_ + "/cloister/t7";
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.id = "tn-1";
  tenant.index = 7;
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  auto host = tenants.groupCpu().host;
  ASSERT_TRUE(host);
  EXPECT_EQ(host->groupsNanos, 50'000U);
  EXPECT_EQ(host->totalNanos, 900'000U);
  const auto inode = host->groupsInode;
  // The launcher made all groups anew.
  tenants.forget();
  fs::rename(root_ + "/cloister", root_ + "/old");
  fs::create_directories(root_ + "/cloister/t7");
  write("cloister/cpu.stat", "usage_usec 3\n");
  write("cloister/t7/cpu.stat", "usage_usec 1\n");
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  host = tenants.groupCpu().host;
  ASSERT_TRUE(host);
  EXPECT_EQ(host->groupsNanos, 3'000U);
  EXPECT_NE(host->groupsInode, inode);
}

TEST(TenantsTest, ToldOnceAndAgainWhenLimitsChangeOrTheLauncherRestarted) {
  FakeLauncher launcher;
  Tenants tenants(launcher);
  model::DesiredTenant tenant;
  tenant.index = 7;
  tenant.limits.memoryBytes = 100;
  tenant.limits.buildMemoryBytes = 50;
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  ASSERT_TRUE(tenants.ensure(tenant).ok());
  ASSERT_EQ(launcher.puts.size(), 1U);
  EXPECT_EQ(launcher.puts[0].limits.memoryBytes, 150U);
  auto larger = tenant;
  larger.limits.memoryBytes = 200;
  tenants.know(larger);
  ASSERT_TRUE(tenants.ensure(tenant).ok()) << "an older value that is still under way";
  ASSERT_EQ(launcher.puts.size(), 2U);
  EXPECT_EQ(launcher.puts[1].limits.memoryBytes, 250U);
  tenants.forget();
  ASSERT_TRUE(tenants.ensure(larger).ok());
  EXPECT_EQ(launcher.puts.size(), 3U);
}

model::NodeWork workWith(bool certified, const std::vector<std::pair<std::string, model::DesiredState>>& instances) {
  model::NodeWork work;
  work.certified = certified;
  work.nodeId = "nd-1";
  for (const auto& [id, desired] : instances) {
    model::DesiredInstance instance;
    instance.id = id;
    instance.tenantId = "tn-1";
    instance.desired = desired;
    work.instances.push_back(instance);
  }
  return work;
}

TEST(CertifiedRule, OnlyCertifiedWorkStopsAnything) {
  using model::DesiredState;
  const std::set<std::string> known{"in-1", "in-2", "in-3"};
  const std::vector<std::pair<std::string, DesiredState>> some{{"in-1", DesiredState::run},
                                                               {"in-2", DesiredState::stop}};
  EXPECT_TRUE(stopsOf(known, workWith(false, {})).empty()) << "restored empty";
  EXPECT_TRUE(stopsOf(known, workWith(false, some)).empty());
  EXPECT_EQ(stopsOf(known, workWith(true, some)), (std::vector<std::string>{"in-2", "in-3"}));
  EXPECT_EQ(stopsOf(known, workWith(true, {})), (std::vector<std::string>{"in-1", "in-2", "in-3"}));
}

class KeptWork : public TemporaryDirectory {};

TEST_F(KeptWork, OnlyCertifiedWorkIsKeptAndItComesBackWithoutAuthority) {
  const std::string path = root_ + "/work.json";
  EXPECT_FALSE(loadWork(path).has_value());
  storeWork(path, workWith(false, {}));
  EXPECT_FALSE(fs::exists(path));
  auto work = workWith(true, {{"in-1", model::DesiredState::run}});
  work.sessions.emplace_back().id = "ss-1";
  work.sessions.back().tenantId = "tn-1";
  storeWork(path, work);
  storeWork(path, workWith(false, {}));
  const auto kept = loadWork(path);
  ASSERT_TRUE(kept.has_value());
  ASSERT_EQ(kept->instances.size(), 1U);
  EXPECT_EQ(kept->instances[0].id, "in-1");
  EXPECT_TRUE(kept->sessions.empty());
  EXPECT_EQ(authorityOf(*kept), Authority::startOnly);
  write("work.json", "{\"revision\": ");
  EXPECT_FALSE(loadWork(path).has_value());
}

TEST(ContainerId, SplitsBackOrNotAtAll) {
  const auto name = parseContainerId(containerId("in-a-7", 12));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->instance, "in-a-7");
  EXPECT_EQ(name->attempt, 12);
  for (const std::string bad : {"", "-", "-1", "in", "in-", "in-x", "in-0", "in-01", "in--", "bd-1-fz"}) {
    EXPECT_FALSE(parseContainerId(bad).has_value()) << bad;
  }
}

TEST(StatusFile, TakesOnlyWhatInitWrites) {
  EXPECT_EQ(parseStatus("exit 3\n"), "exit 3");
  EXPECT_EQ(parseStatus("signal 9\n"), "signal 9");
  EXPECT_EQ(parseStatus("call 83\ncall 4\nexit 0\n"), "exit 0");
  for (const std::string bad :
       {"", "exit", "exit x", "exit -1", "exit 4000", "quit 1", "exit 1x", "call 83\n", "\n", "exit 0\ncall 83\n"}) {
    EXPECT_EQ(parseStatus(bad), "") << bad;
  }
  EXPECT_EQ(numbersOf(parseCalls("call 83\ncall 4\nexit 0\n")), (std::vector<std::uint32_t>{4, 83}));
  EXPECT_TRUE(parseCalls("call 512\ncall -1\ncall x\nexit 1\n").none());
}

TEST(AttemptFile, ReadsBackAndRefusesRubbish) {
  const Attempt attempt{3, "boot-1", AttemptState::ready};
  EXPECT_EQ(parseAttempt(format(attempt)), attempt);
  for (const std::string bad :
       {"", "3", "3 boot", "x boot ready", "3 boot asleep", "-1 boot ready", "3 boot ready more"}) {
    EXPECT_FALSE(parseAttempt(bad).has_value()) << bad;
  }
}

TEST(AdoptionTest, DecidesFromDiskAndLauncher) {
  struct Case {
    const char* name;
    Kept kept;
    std::vector<Alive> alive;
    Fate fate;
    std::string reason;
  };
  const Attempt now{2, "boot", AttemptState::ready};
  const Attempt before{2, "earlier", AttemptState::ready};
  const std::vector<Case> cases{
      {"runs", {now, "", false}, {{"in-1-2", true}}, Fate::adopt, "ended while the node was away"},
      {"ended, container there", {now, "exit 4", false}, {{"in-1-2", false}}, Fate::finish, "exit 4"},
      {"ended, container gone", {now, "signal 9", false}, {}, Fate::ended, "signal 9"},
      {"vanished", {now, "", false}, {}, Fate::ended, "ended while the node was away"},
      {"host restarted", {before, "", false}, {}, Fate::startAnew, ""},
      {"removed in order", {Attempt{2, "boot", AttemptState::ended}, "exit 1", false}, {}, Fate::startAnew, ""},
      {"never ran", {std::nullopt, "", false}, {}, Fate::startAnew, ""},
      {"was stopped", {now, "exit 0", true}, {}, Fate::leaveStopped, ""},
      {"was to be stopped, still runs",
       {now, "", true},
       {{"in-1-2", true}},
       Fate::adopt,
       "ended while the node was away"},
      {"another attempt runs", {now, "exit 1", false}, {{"in-1-1", true}}, Fate::ended, "exit 1"},
  };
  for (const auto& example : cases) {
    const auto decided = decideAdoptions({{"in-1", example.kept}}, example.alive, "boot");
    const auto& adoption = decided.instances.at("in-1");
    EXPECT_EQ(adoption.fate, example.fate) << example.name;
    EXPECT_EQ(adoption.reason, example.reason) << example.name;
  }
  const auto strange = decideAdoptions({{"in-1", {now, "", false}}}, {{"in-1-1", true}, {"bd-9", true}}, "boot");
  EXPECT_EQ(strange.unknown, (std::vector<std::string>{"in-1-1", "bd-9"}));
}

class Directory : public TemporaryDirectory {};

TEST_F(Directory, HoldsSpecFifosAndState) {
  InstanceSpec spec;
  spec.tenant.id = "tn-1";
  spec.tenant.index = 5;
  spec.instance.id = "in-1";
  spec.instance.tenantId = "tn-1";
  spec.instance.environment = {{"SECRET", "x\"y"}};
  const InstanceDirectory directory(root_ + "/instances", "in-1");
  ASSERT_TRUE(directory.prepare(spec).ok());
  ASSERT_TRUE(directory.prepare(spec).ok()) << "again, before the next attempt";
  EXPECT_EQ(directory.spec()->tenant.index, 5U);
  EXPECT_EQ(directory.spec()->instance.environment, spec.instance.environment);
  struct stat status {};
  ASSERT_EQ(::stat(directory.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U) << "the secrets are in there";
  ASSERT_EQ(::stat(directory.out().c_str(), &status), 0);
  EXPECT_TRUE(S_ISFIFO(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777U, 0666U);
  ASSERT_TRUE(directory.record({4, "boot", AttemptState::launched}).ok());
  EXPECT_EQ(directory.attempt()->number, 4);
  auto file = directory.newStatus();
  ASSERT_TRUE(file.ok());
  auto late = directory.newStatus();
  ASSERT_TRUE(files::writeAll(file->get(), "exit 1\n").ok());
  EXPECT_EQ(directory.status(), "") << "the end of an earlier attempt says nothing about this one";
  EXPECT_FALSE(directory.stoppedSeconds().has_value());
  directory.markStopped();
  EXPECT_TRUE(directory.stoppedSeconds().has_value());
  EXPECT_EQ(listInstances(root_ + "/instances"), (std::vector<std::string>{"in-1"}));
  directory.destroy();
  EXPECT_FALSE(fs::exists(directory.path()));
}

TEST_F(Directory, AFileInPlaceOfAFifoIsRefused) {
  fs::create_directories(root_ + "/in-1");
  write("in-1/stdout.fifo", "");
  InstanceSpec spec;
  spec.instance.id = "in-1";
  EXPECT_FALSE(InstanceDirectory(root_, "in-1").prepare(spec).ok());
}

TEST(HealthAnswer, JudgesTheFirstBytes) {
  struct Case {
    const char* head;
    Answer answer;
    const char* reason;
  };
  const std::vector<Case> cases{
      {"", Answer::incomplete, ""},
      {"HTT", Answer::incomplete, ""},
      {"HTTP/1.1 20", Answer::incomplete, ""},
      {"HTTP/1.1 200 OK\r\n", Answer::good, ""},
      {"HTTP/1.0 304 ", Answer::good, ""},
      {"HTTP/1.1 503 Busy", Answer::bad, "status 503"},
      {"HTTP/1.1 404", Answer::bad, "status 404"},
      {"HTTP/1.1 2x0 ", Answer::bad, "the answer is no HTTP"},
      {"SSH-2.0-", Answer::bad, "the answer is no HTTP"},
      {"HTTP/1.1-200", Answer::bad, "the answer is no HTTP"},
  };
  for (const auto& example : cases) {
    std::string reason;
    EXPECT_EQ(judge(example.head, reason), example.answer) << example.head;
    EXPECT_EQ(reason, example.reason) << example.head;
  }
}

TEST(BuildScript, QuotesWhatIsGivenAndRefusesNul) {
  EXPECT_EQ(shellQuoted("it's"), "'it'\\''s'");
  EXPECT_FALSE(buildScript({std::string("a\0b", 3)}, "n").has_value());
  const auto script = buildScript({"echo 'x' && false", "make"}, "n");
  ASSERT_TRUE(script.has_value());
  EXPECT_NE(script->find("/bin/sh -ec 'echo '\\''x'\\'' && false'\n"), std::string::npos);
}

TEST(StepFilterTest, ShowsCommandsForMarksHoweverTheBytesAreCut) {
  const std::string raw = "\x1en:0\nno newline\x1en:1\nbuilding\n\x1en:2\nbad \x1e but no mark\n\x1en:x\n";
  const std::string wanted =
      "Unpacking the source\nno newline\n$ npm ci\nbuilding\n$ make\nbad \x1e but no mark\n\x1en:x\n";
  for (std::size_t cut = 1; cut <= raw.size(); ++cut) {
    StepFilter filter({"npm ci", "make"}, "n");
    std::string shown;
    for (std::size_t at = 0; at < raw.size(); at += cut) shown += filter.feed(raw.substr(at, cut));
    shown += filter.end();
    EXPECT_EQ(shown, wanted) << "cut every " << cut;
    EXPECT_EQ(filter.step(), 2);
    EXPECT_EQ(filter.failureOf("exit 2"), "command 2 `make` exited with 2");
  }
}

TEST(StepFilterTest, NamesTheStepThatFailed) {
  StepFilter filter({"a"}, "n");
  EXPECT_EQ(filter.failureOf("exit 1"), "the build exited with 1 before it began");
  (void)filter.feed("\x1en:0\n");
  EXPECT_EQ(filter.failureOf("exit 2"), "unpacking the source exited with 2");
  (void)filter.feed("\x1en:1\n");
  EXPECT_EQ(filter.failureOf("signal 9"), "command 1 `a` was killed by signal 9");
  (void)filter.feed("\x1en:2\n");
  EXPECT_EQ(filter.failureOf(""), "handing /app to the app's user ended without a status");
}

TEST(SessionFrame, ParsesWhatClientsSend) {
  struct Case {
    std::string message;
    Frame::Kind kind;
  };
  const std::vector<Case> cases{
      {"", Frame::Kind::none},
      {std::string("\0hello", 6), Frame::Kind::input},
      {"\x01stdout is ours", Frame::Kind::none},
      {"\x03{\"resize\": {\"rows\": 40, \"columns\": 120}}", Frame::Kind::resize},
      {"\x03{\"resize\": 7}", Frame::Kind::none},
      {"\x03{\"resize\": {\"rows\": -4, \"columns\": \"x\"}}", Frame::Kind::none},
      {"\x03{\"stdinClosed\": true}", Frame::Kind::inputClosed},
      {"\x03{\"stdinClosed\": false}", Frame::Kind::none},
      {"\x03not json", Frame::Kind::none},
      {"\x03[]", Frame::Kind::none},
      {"\x7f", Frame::Kind::none},
  };
  for (const auto& example : cases) EXPECT_EQ(parseFrame(example.message).kind, example.kind) << example.message;
  EXPECT_EQ(parseFrame(std::string("\0hello", 6)).data, "hello");
  EXPECT_EQ(parseFrame("\x03{\"resize\": {\"rows\": 40, \"columns\": 120}}").size.columns, 120);
}

TEST(AppRequest, RunsTheCommandInAShellWithPort) {
  model::DesiredTenant tenant;
  tenant.index = 3;
  model::DesiredInstance instance;
  instance.id = "in-0123456789";
  instance.app = std::string(60, 'a');
  instance.process = "web";
  instance.command = "a && b";
  instance.port = 8080;
  instance.environment = {{"HOME", "/elsewhere"}, {"KEY", "v=1"}};
  instance.layers = {"slug", "base"};
  const auto request = appRequest(tenant, instance, "in-0123456789-1");
  EXPECT_EQ(request.argv, (std::vector<std::string>{"/bin/sh", "-c", "a && b"}));
  EXPECT_EQ(request.layers, instance.layers);
  EXPECT_LE(request.hostname.size(), 63U);
  EXPECT_TRUE(request.hostname.ends_with("-456789"));
  const auto has = [&](const std::string& text) {
    return std::find(request.environment.begin(), request.environment.end(), text) != request.environment.end();
  };
  EXPECT_TRUE(has("PORT=8080"));
  EXPECT_TRUE(has("KEY=v=1"));
  EXPECT_TRUE(has("HOME=/elsewhere")) << "the app's own settings come last";
  EXPECT_FALSE(has("HOME=/app"));
  EXPECT_EQ(describe({"signal 9", 1, true, false}), "out of memory");
  EXPECT_EQ(describe({"exit 1", 0, false, true}), "pids limit");
  EXPECT_EQ(describe({"exit 1", 0, false, false}), "exit 1");
}

class ConfigTest : public TemporaryDirectory {};

TEST_F(ConfigTest, FlagsOverFileOverDefaults) {
  write("node.toml", "state = \"/a\"\nname = \"n1\"\nserver = \"https://x\"\n");
  Config flags;
  flags.name = "n2";
  const auto config = loadConfig(root_ + "/node.toml", ConfigFile::required, flags);
  EXPECT_EQ(config.state, "/a");
  EXPECT_EQ(config.name, "n2");
  EXPECT_EQ(config.server, "https://x");
  EXPECT_EQ(config.work(), "/a/node/work.json");
  EXPECT_THROW((void)loadConfig(root_ + "/none.toml", ConfigFile::required), std::runtime_error);
  write("bad.toml", "state = 7\n");
  EXPECT_THROW((void)loadConfig(root_ + "/bad.toml", ConfigFile::required), std::runtime_error);
  write("broken.toml", "state = \n");
  EXPECT_THROW((void)loadConfig(root_ + "/broken.toml", ConfigFile::required), std::runtime_error);
}

}  // namespace
}  // namespace cloister::node
