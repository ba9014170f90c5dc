#include "controlplane/model/node_protocol.h"

#include <Poco/Exception.h>
#include <gtest/gtest.h>

#include <limits>

#include "controlplane/model/json.h"
#include "sandbox/base/utf8.h"

namespace cloister::model {
namespace {

NodeWork fullWork() {
  NodeWork work;
  work.revision = 42;
  work.certified = true;
  work.nodeId = "nd-1";
  DesiredTenant tenant{"tn-1", "demo", 7, TenantState::suspended, "small", {}};
  tenant.limits.memoryBytes = 1ULL << 40U;
  tenant.limits.networkBitsPerSecond = 100'000'000;
  tenant.limits.memoryHighBytes = 1ULL << 39U;
  tenant.limits.cpuBurstMillis = 500;
  tenant.limits.diskBytesPerSecond = 50'000'000;
  tenant.limits.diskOperationsPerSecond = 200;
  work.tenants.push_back(tenant);
  DesiredInstance instance;
  instance.id = "in-1";
  instance.tenantId = "tn-1";
  instance.appId = "ap-1";
  instance.app = "hello";
  instance.process = "web";
  instance.release = 3;
  instance.command = "exec ./serve \"$PORT\"\n";
  instance.environment = {{"PORT", "8080"}, {"QUOTE", "\"\\\n\u00e9"}};
  instance.layers = {"slug", "base"};
  instance.limits = {1, 2, 3, 4, 5};
  instance.address = 0x0a800702U;
  instance.port = 8080;
  instance.healthPath = "/healthz";
  instance.desired = DesiredState::stop;
  instance.draining = true;
  instance.callList = {OtherCalls::refuse, {1, 2, 300}};
  instance.immutable = true;
  instance.writable = {"/app/uploads"};
  work.instances.push_back(instance);
  DesiredBuild build;
  build.id = "bd-1";
  build.tenantId = "tn-1";
  build.sourceDigest = "s";
  build.baseDigest = "b";
  build.commands = {"make", "make install"};
  build.doneCommands = 1;
  build.layers = {"layer"};
  build.steps = {{1, 1, "part"}};
  build.timeoutSeconds = 600;
  build.callList = {OtherCalls::report, {}};
  work.builds.push_back(build);
  Session run;
  run.id = "ss-1";
  run.kind = SessionKind::run;
  run.tenantId = "tn-1";
  run.terminal = true;
  run.runInstance = instance;
  Session logs;
  logs.id = "ss-2";
  logs.kind = SessionKind::logs;
  logs.tenantId = "tn-1";
  logs.follow = true;
  logs.lines = 100;
  work.sessions = {run, logs};
  work.keepBlobs = {"slug", "base"};
  return work;
}

TEST(NodeProtocol, WorkComesBackWhole) {
  const auto work = fullWork();
  const auto text = toJson(work);
  const auto back = nodeWorkFromJson(text);
  EXPECT_EQ(toJson(back), text);
  ASSERT_EQ(back.instances.size(), 1U);
  EXPECT_EQ(back.instances[0].environment, work.instances[0].environment);
  EXPECT_EQ(back.instances[0].address, 0x0a800702U);
  EXPECT_TRUE(back.instances[0].draining);
  EXPECT_EQ(back.tenants[0].limits, work.tenants[0].limits);
  EXPECT_EQ(back.sessions[0].runInstance.command, work.instances[0].command);
  EXPECT_EQ(back.sessions[1].lines, 100);
  EXPECT_EQ(back.keepBlobs, work.keepBlobs);
  EXPECT_EQ(back.builds[0].layers, work.builds[0].layers);
  ASSERT_EQ(back.builds[0].steps.size(), 1U);
  EXPECT_EQ(back.builds[0].steps[0].sourceDigest, "part");
}

TEST(NodeProtocol, StatusAndLogLinesComeBackWhole) {
  NodeStatus status;
  status.nodeId = "nd-1";
  status.bootId = "boot";
  status.signingKey = std::string(64, 'a');
  status.observedRevision = std::numeric_limits<std::int64_t>::max();
  status.instances = {{"in-1", InstanceState::unhealthy, 4, "exit 1", 1'700'000'000'000'000}};
  status.builds = {{"bd-1", BuildState::failed, "", {"build_failed", "make: *** [all] Error 2"}}};
  status.events = {{"tn-1", "hello", "instance.oom", "killed"}};
  status.posture = {{"apparmor", "absent", "no such file"}};
  status.pressures = {{"tn-1", "memory", "full", 1ULL << 40U}};
  status.instances[0].calls = {3, 257};
  status.builds[0].calls = {5};
  status.builds[0].slugBytes = 1ULL << 33U;
  status.builds[0].layers = {{1, "layer", 4096}};
  const auto text = toJson(status);
  EXPECT_EQ(toJson(nodeStatusFromJson(text)), text);
  EXPECT_EQ(nodeStatusFromJson(text).instances[0].calls, (std::vector<std::uint32_t>{3, 257}));
  EXPECT_EQ(nodeStatusFromJson(text).signingKey, status.signingKey);
  EXPECT_EQ(nodeStatusFromJson(text).pressures[0].micros, 1ULL << 40U);
  EXPECT_EQ(nodeStatusFromJson(text).builds[0].failure.detail, "make: *** [all] Error 2");
  EXPECT_EQ(nodeStatusFromJson(text).builds[0].slugBytes, 1ULL << 33U);
  EXPECT_EQ(nodeStatusFromJson(text).builds[0].layers.at(0).bytes, 4096U);
  const auto line = toJson(LogLine{5, "hello", "web", "in-1", "stderr", "a\tb\x01"});
  EXPECT_EQ(toJson(logLineFromJson(line)), line);
}

TEST(NodeProtocol, RefusesWhatIsWrongAndNamesTheField) {
  struct Case {
    const char* text;
    const char* named;
  };
  for (const auto& [text, named] : {
           Case{"", "JSON"},
           Case{"[]", "object"},
           Case{"{\"nodeId\":\"n\"", "JSON"},
           Case{"{}", "nodeId is required"},
           Case{"{\"nodeId\":7}", "nodeId must be a string"},
           Case{"{\"nodeId\":\"n\",\"observedRevision\":\"1\"}", "observedRevision must be an integer"},
           Case{"{\"nodeId\":\"n\",\"instances\":{}}", "instances must be a list"},
       }) {
    try {
      (void)nodeStatusFromJson(text);
      ADD_FAILURE() << "accepted " << text;
    } catch (const Poco::DataFormatException& error) {
      EXPECT_NE(error.message().find(named), std::string::npos) << text << " -> " << error.message();
    }
  }
  std::string deep = "{\"nodeId\":";
  for (int i = 0; i < 100'000; ++i) deep += "[";
  EXPECT_THROW((void)nodeStatusFromJson(deep), Poco::DataFormatException);
}

TEST(NodeProtocol, ABadItemIsLeftOutAloneAndNamed) {
  struct Case {
    const char* list;  // with one bad item between or behind good ones
    std::size_t good;
    const char* id;
    const char* tenantId;
    const char* reason;
  };
  const auto expectRefused = [](const std::vector<RefusedItem>& refused, const Case& one) {
    ASSERT_EQ(refused.size(), 1U) << one.list;
    EXPECT_EQ(refused[0].id, one.id) << one.list;
    EXPECT_EQ(refused[0].tenantId, one.tenantId) << one.list;
    EXPECT_NE(refused[0].reason.find(one.reason), std::string::npos) << one.list << " -> " << refused[0].reason;
  };
  for (const auto& one : {
           Case{R"("instances":[{"id":"a"},3,{"id":"b"}])", 2, "", "", "instances[1] is not an object"},
           Case{R"("instances":[{"id":"i"},{}])", 1, "", "", "instances[1].id is required"},
           Case{R"("instances":[{"id":"i","state":"dead"},{"id":"j"}])", 1, "i", "", "instances[0].state"},
           Case{R"("builds":[{"id":"b","failure":"x"}])", 0, "b", "", "builds[0].failure must be an object"},
           Case{R"("events":[{"tenantId":"t"},{"kind":"k"}])", 1, "", "t", "events[0].kind is required"},
       }) {
    const auto status = nodeStatusFromJson(R"({"nodeId":"n",)" + std::string(one.list) + "}");
    EXPECT_EQ(status.instances.size() + status.builds.size() + status.events.size(), one.good) << one.list;
    expectRefused(status.refused, one);
  }
  for (const auto& one : {
           Case{R"("tenants":[{"id":"t","index":-1},{"id":"u"}])", 1, "t", "", "tenants[0].index is out of range"},
           Case{R"("instances":[{"id":"i","tenantId":"t","port":70000}])", 0, "i", "t", "port is out of range"},
           Case{R"("sessions":[{"id":"s","tenantId":"t","kind":"run"}])", 0, "s", "t", "runInstance is required"},
       }) {
    const auto work = nodeWorkFromJson(R"({"nodeId":"n",)" + std::string(one.list) + "}");
    EXPECT_EQ(work.tenants.size() + work.instances.size() + work.sessions.size(), one.good) << one.list;
    expectRefused(work.refused, one);
  }
}

TEST(NodeProtocol, NoTextMakesADocumentThatItsReaderRefuses) {
  const std::string texts[] = {"\xff\xfe",
                               "caf\xe9",
                               std::string(186, 'x') + "\xc3",
                               std::string("a\0b", 3),
                               "\xed\xa0\x80",
                               "\xc0\x80",
                               "\xf4\x90\x80\x80",
                               "\\u0000",
                               std::string("\\\0", 2),
                               "\"\xf0\x9f\x92",
                               "\xe2\x80\xa8\x7f"};
  for (const auto& text : texts) {
    NodeStatus status;
    status.nodeId = "nd-1";
    status.instances = {{"in-1", InstanceState::crashed, 1, text, 1}, {"in-2", InstanceState::running, 0, "", 1}};
    status.builds = {{"bd-1", BuildState::failed, "", {"build_failed", text}}};
    status.events = {{"tn-1", text, text + "k", text}};
    const auto told = nodeStatusFromJson(toJson(status));
    EXPECT_EQ(told.instances.size(), 2U);
    EXPECT_TRUE(told.refused.empty());
    EXPECT_TRUE(utf8::valid(told.builds.at(0).failure.detail));
    EXPECT_EQ(told.builds[0].failure.detail.find('\0'), std::string::npos);
    auto work = fullWork();
    for (auto& session : work.sessions) session.process = text;
    work.sessions.back().process = text;
    work.instances[0].environment[text] = text;
    work.instances[0].command = text;
    work.builds[0].commands = {text};
    const auto wanted = nodeWorkFromJson(toJson(work));
    EXPECT_EQ(wanted.sessions.size(), work.sessions.size());
    EXPECT_TRUE(wanted.refused.empty());
    EXPECT_TRUE(utf8::valid(logLineFromJson(toJson(LogLine{1, text, text, text, "stdout", text})).line));
    Manifest manifest;
    manifest.processes = {{"web", text}};
    EXPECT_TRUE(utf8::valid(manifestFromJson(toJson(manifest)).processes.at("web")));
  }
}

TEST(NodeProtocol, WhatWasKeptWithBadBytesIsMended) {
  EXPECT_EQ(textMapFromJson("{\"A\":\"caf\xe9\"}").at("A"), "caf\uFFFD");
  EXPECT_EQ(nodeWorkFromJson("{\"nodeId\":\"n\",\"keepBlobs\":[\"\xff\"]}").keepBlobs.at(0), "\uFFFD");
}

TEST(Model, NamesAndValuesAreInverse) {
  for (const auto state :
       {InstanceState::pending, InstanceState::starting, InstanceState::running, InstanceState::unhealthy,
        InstanceState::crashed, InstanceState::draining, InstanceState::stopped}) {
    EXPECT_EQ(instanceState(name(state)), state);
  }
  for (const auto state : {NodeState::ready, NodeState::cordoned, NodeState::draining, NodeState::down}) {
    EXPECT_EQ(nodeState(name(state)), state);
  }
  EXPECT_EQ(tenantState("Active"), std::nullopt);
  EXPECT_EQ(scope(""), std::nullopt);
  EXPECT_STREQ(name(static_cast<Scope>(99)), "unknown");
}

TEST(Model, ManifestComesBackWhole) {
  Manifest manifest;
  manifest.buildCommands = {"npm ci"};
  manifest.processes = {{"web", "node server.js"}, {"worker", "node worker.js"}};
  manifest.healthPath = "/healthz";
  manifest.memoryBytes = 1ULL << 30U;
  manifest.pids = 64;
  manifest.immutable = true;
  manifest.writable = {"/app/uploads"};
  const auto text = toJson(manifest);
  EXPECT_EQ(toJson(manifestFromJson(text)), text);
  EXPECT_EQ(manifestFromJson(text).writable, manifest.writable);
}

}  // namespace
}  // namespace cloister::model
