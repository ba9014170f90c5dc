#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <future>
#include <stdexcept>

#include "controlplane/node/config.h"
#include "controlplane/node/health.h"
#include "controlplane/node/instance_directory.h"
#include "controlplane/node/runtime.h"
#include "controlplane/node/session_channel.h"
#include "controlplane/node/work_source.h"
#include "sandbox/base/files.h"
#include "tests/unit/controlplane/node/node_fixture.h"

namespace cloister::node {
namespace {

namespace fs = std::filesystem;

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
  auto unread = workWith(true, some);
  unread.refused = {{"instances", "in-3", "tn-1", "its port is out of range"}};
  EXPECT_EQ(stopsOf(known, unread), (std::vector<std::string>{"in-2"})) << "one that could not be read goes on";
  unread.refused.push_back({"instances", "", "", "is no object"});
  EXPECT_TRUE(stopsOf(known, unread).empty()) << "it may be any of them";
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
  const auto sealed = files::read(directory.path() + "/spec.json");
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->find("SECRET"), std::string::npos) << "nothing of it lies there in the clear";
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
  EXPECT_TRUE(directory.spec()->instance.environment.empty()) << "what it was given is gone with it";
  EXPECT_EQ(directory.spec()->instance.tenantId, "tn-1") << "whose logs they are is not";
  EXPECT_EQ(listInstances(root_ + "/instances"), (std::vector<std::string>{"in-1"}));
  directory.destroy();
  EXPECT_FALSE(fs::exists(directory.path()));
}

TEST_F(Directory, ASpecOfAnEarlierVersionIsReadAndOneOfAnotherKeyIsNot) {
  InstanceSpec spec;
  spec.tenant.id = "tn-1";
  spec.instance.id = "in-1";
  spec.instance.tenantId = "tn-1";
  const InstanceDirectory directory(root_ + "/instances", "in-1");
  ASSERT_TRUE(directory.prepare(spec).ok());
  model::NodeWork plain;
  plain.nodeId = "local";
  plain.tenants.push_back(spec.tenant);
  plain.instances.push_back(spec.instance);
  const auto file = directory.path() + "/spec.json";
  const auto sealed = files::read(file);
  ASSERT_TRUE(files::replace(file, model::toJson(plain), 0600).ok());
  EXPECT_TRUE(directory.spec().has_value());
  ASSERT_TRUE(files::replace(file, *sealed, 0600).ok());
  EXPECT_TRUE(directory.spec().has_value());
  ASSERT_TRUE(files::replace(root_ + "/state.key", std::string(32, 'k'), 0600).ok());
  EXPECT_FALSE(directory.spec().has_value());
}

TEST(StoppedLogs, TheOldestOfATenantGoFirst) {
  const std::vector<StoppedLogs> stopped = {{"in-1", "a", 300, 60},
                                            {"in-2", "a", 100, 60},
                                            {"in-3", "b", 900, 100},
                                            {"in-4", "a", 200, 40},
                                            {"in-5", "a", 400, 1}};
  EXPECT_EQ(logsBeyond(stopped, 100), (std::vector<std::string>{"in-1", "in-5"}));
  EXPECT_TRUE(logsBeyond(stopped, 1000).empty());
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

TEST(HealthProber, NamesTheAppsOwnHost) {
  Poco::Net::ServerSocket server(Poco::Net::SocketAddress("127.0.0.1", 0));
  auto prober = HealthProber::start();
  ASSERT_TRUE(prober.ok());
  std::promise<std::string> verdict;
  const Probe probe{parseIpv4("127.0.0.1"), server.address().port(), "/up", "shop.acme.localhost"};
  (*prober)->check(probe, [&](const std::string& failure) { verdict.set_value(failure); });
  auto connection = server.acceptConnection();
  std::array<char, 1024> head{};
  const auto got = connection.receiveBytes(head.data(), static_cast<int>(head.size()));
  const std::string request(head.data(), static_cast<std::size_t>(std::max(got, 0)));
  EXPECT_NE(request.find("GET /up HTTP/1.1\r\nHost: shop.acme.localhost\r\n"), std::string::npos) << request;
  const std::string answer = "HTTP/1.1 200 OK\r\n\r\n";
  connection.sendBytes(answer.data(), static_cast<int>(answer.size()));
  EXPECT_EQ(verdict.get_future().get(), "");
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
      {"\x04\xff\xfe", Frame::Kind::argument},
      {"\x04", Frame::Kind::argument},
      {"\x03{\"start\": true}", Frame::Kind::start},
      {"\x03{\"more\": 5}", Frame::Kind::more},
      {"\x03{\"more\": -5}", Frame::Kind::none},
      {"\x03{\"more\": \"x\"}", Frame::Kind::none},
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
  EXPECT_EQ(appRequest(tenant, instance, "x").writes, launcher::Writes::byMode);
  instance.immutable = true;
  instance.writable = {"/app/uploads"};
  const auto request = appRequest(tenant, instance, "in-0123456789-1");
  EXPECT_EQ(request.argv, (std::vector<std::string>{"/bin/sh", "-c", "a && b"}));
  EXPECT_EQ(request.layers, instance.layers);
  EXPECT_EQ(request.writes, launcher::Writes::listed);
  EXPECT_EQ(request.writable, instance.writable);
  EXPECT_LE(request.hostname.size(), 63U);
  EXPECT_TRUE(request.hostname.ends_with("-456789"));
  const auto has = [&](const std::string& text) {
    return std::find(request.environment.begin(), request.environment.end(), text) != request.environment.end();
  };
  EXPECT_TRUE(has("PORT=8080"));
  EXPECT_TRUE(has("KEY=v=1"));
  EXPECT_TRUE(has("HOME=/elsewhere")) << "the app's own settings come last";
  EXPECT_FALSE(has("HOME=/home/app"));
  EXPECT_EQ(describe({"signal 9", 1, true, false}), "ran out of memory and was killed");
  EXPECT_EQ(describe({"", 1, false, false, true}), "was killed, for it had not ended in its time to stop");
  EXPECT_EQ(describe({"exit 1", 0, false, true}), "ended with exit code 1 after it reached its limit of processes");
  EXPECT_EQ(describe({"exit 1", 0, false, false}), "ended with exit code 1");
  EXPECT_EQ(describe({"signal 11", 0, false, false}), "was killed by signal 11 (SIGSEGV)");
  EXPECT_EQ(describe({"signal 35", 0, false, false}), "was killed by signal 35");
  EXPECT_EQ(describe({"", 0, false, false}), "ended without a status");
  EXPECT_EQ(describe({"ended while the node was away", 0, false, false}), "ended while the node was away");
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
  write("cloisterd.toml", "name = \"cloisterd\"\n");
  try {
    (void)loadConfig(root_ + "/cloisterd.toml", ConfigFile::required);
    ADD_FAILURE() << "the control plane's own name";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("name: a node cannot be called \"cloisterd\""), std::string::npos);
  }
  write("broken.toml", "state = \n");
  EXPECT_THROW((void)loadConfig(root_ + "/broken.toml", ConfigFile::required), std::runtime_error);
}

}  // namespace
}  // namespace cloister::node
