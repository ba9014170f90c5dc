#include "controlplane/model/node_protocol.h"

#include <Poco/Exception.h>
#include <gtest/gtest.h>

#include <limits>

#include "controlplane/model/json.h"

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
  work.instances.push_back(instance);
  DesiredBuild build;
  build.id = "bd-1";
  build.tenantId = "tn-1";
  build.sourceDigest = "s";
  build.baseDigest = "b";
  build.commands = {"make", "make install"};
  build.timeoutSeconds = 600;
  build.callList = {OtherCalls::report, {}};
  work.builds.push_back(build);
  Session run;
  run.id = "ss-1";
  run.kind = SessionKind::run;
  run.tenantId = "tn-1";
  run.argv = {"sh", "-c", "id"};
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
  const auto text = toJson(status);
  EXPECT_EQ(toJson(nodeStatusFromJson(text)), text);
  EXPECT_EQ(nodeStatusFromJson(text).instances[0].calls, (std::vector<std::uint32_t>{3, 257}));
  EXPECT_EQ(nodeStatusFromJson(text).signingKey, status.signingKey);
  EXPECT_EQ(nodeStatusFromJson(text).pressures[0].micros, 1ULL << 40U);
  EXPECT_EQ(nodeStatusFromJson(text).builds[0].failure.detail, "make: *** [all] Error 2");
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
           Case{"{\"nodeId\":\"n\",\"instances\":[3]}", "instances must be a list of objects"},
           Case{"{\"nodeId\":\"n\",\"instances\":[{\"id\":\"i\"},{}]}", "instances[1].id is required"},
           Case{"{\"nodeId\":\"n\",\"instances\":[{\"id\":\"i\",\"state\":\"dead\"}]}", "instances[0].state"},
           Case{"{\"nodeId\":\"n\",\"builds\":[{\"id\":\"b\",\"failure\":\"x\"}]}",
                "builds[0].failure must be an object"},
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
  EXPECT_THROW((void)nodeWorkFromJson(R"({"nodeId":"n","tenants":[{"id":"t","index":-1}]})"),
               Poco::DataFormatException);
  EXPECT_THROW((void)nodeWorkFromJson(R"({"nodeId":"n","instances":[{"id":"i","tenantId":"t","port":70000}]})"),
               Poco::DataFormatException);
  EXPECT_THROW((void)nodeWorkFromJson(R"({"nodeId":"n","sessions":[{"id":"s","tenantId":"t","kind":"run"}]})"),
               Poco::DataFormatException);
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
  const auto text = toJson(manifest);
  EXPECT_EQ(toJson(manifestFromJson(text)), text);
}

}  // namespace
}  // namespace cloister::model
