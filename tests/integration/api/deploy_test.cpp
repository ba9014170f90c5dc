// The whole way of a deploy through the API and a node that speaks the real protocol, with kill -9 of the daemon
// between.
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Thread.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

struct Deploy : ::testing::Test {
  DaemonProcess daemon;
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  FakeNode node{daemon.nodeSocket(), daemon.nodeToken()};

  std::string source = tarGz({{"cloister.toml", "[build]\ncommands = [\"make\"]\n[processes]\nweb = \"./serve\"\n"},
                              {"main.c", "int main(void) { return 0; }\n"}});

  void SetUp() override {
    // A node that was never seen gets no work.
    const auto work = node.desired(-1);
    ASSERT_TRUE(work.has_value());
    ASSERT_EQ(node.report(*work, model::InstanceState::pending).status, 204);
  }

  Reply upload(const Headers& more = {}) const {
    Headers headers = {{"Content-Type", "application/gzip"}};
    headers.insert(more.begin(), more.end());
    return alice.send("POST", "/v1/apps/shop/deployments?create=true", source, headers);
  }

  [[nodiscard]] model::DesiredBuild takeBuild() const {
    const auto work = node.await([](const auto& w) { return !w.builds.empty(); });
    if (!work) throw std::runtime_error("no build came");
    (void)node.report(*work, model::InstanceState::pending, {{work->builds[0].id, model::BuildState::running, "", {}}});
    return work->builds[0];
  }

  void finishBuild(const std::string& id) const {
    const auto slug = node.putBlob("the slug of " + id);
    const auto work = node.desired(-1);
    ASSERT_EQ(node.report(*work, model::InstanceState::pending, {{id, model::BuildState::succeeded, slug, {}}}).status,
              204);
  }

  void runInstances() const {
    const auto work = node.await([](const auto& w) { return !w.instances.empty(); });
    ASSERT_TRUE(work.has_value());
    ASSERT_EQ(node.report(*work, model::InstanceState::starting).status, 204);
    ASSERT_EQ(node.report(*work, model::InstanceState::running).status, 204);
  }
};

TEST_F(Deploy, SucceedsAcrossKillsOfTheDaemon) {
  const Headers key = {{"Idempotency-Key", "d1"}};
  const auto accepted = upload(key);
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const auto operation = accepted.text("id");
  EXPECT_EQ(accepted.headers.at("Location"), "/v1/operations/" + operation);
  daemon.kill();
  daemon.start();
  const auto repeated = upload(key);
  EXPECT_EQ(repeated.text("id"), operation);
  EXPECT_EQ(repeated.headers.at("Idempotency-Replayed"), "true");

  const auto build = takeBuild();
  EXPECT_EQ(build.id, accepted.text("build"));
  EXPECT_EQ(build.commands, std::vector<std::string>{"make"});
  const auto blob = node.send("GET", "/node/v1/blobs/" + build.sourceDigest);
  EXPECT_EQ(blob.body, source);
  EXPECT_EQ(node.send("POST", "/node/v1/builds/" + build.id + "/log", "$ make\ncc\n", "text/plain").status, 204);
  daemon.kill();
  daemon.start();
  finishBuild(build.id);
  const auto log = alice.send("GET", "/v1/apps/shop/builds/" + build.id + "/log?follow=true");
  EXPECT_EQ(log.body, "$ make\ncc\n");
  daemon.kill();
  daemon.start();
  runInstances();

  const auto done = alice.send("GET", "/v1/operations/" + operation + "?wait=20");
  EXPECT_EQ(done.text("state"), "succeeded") << done.body;
  EXPECT_EQ(done.text("result"), "v1");
  const auto app = alice.send("GET", "/v1/apps/shop");
  EXPECT_EQ(app.text("status"), "running") << app.body;
  EXPECT_EQ(app.text("release"), "1");
  EXPECT_EQ(app.text("url"), "http://shop.alice.localhost:8080");
  const auto instances = alice.send("GET", "/v1/apps/shop/instances").json()->getArray("items");
  ASSERT_EQ(instances->size(), 1U);
  EXPECT_EQ(instances->getObject(0)->getValue<std::string>("state"), "running");
  EXPECT_EQ(instances->getObject(0)->getValue<std::string>("node"), "one");
  const auto releases = alice.send("GET", "/v1/apps/shop/releases").json()->getArray("items");
  ASSERT_EQ(releases->size(), 1U);
  EXPECT_TRUE(releases->getObject(0)->getValue<bool>("current"));
  EXPECT_NE(alice.send("GET", "/v1/posture").body.find("user-namespace"), std::string::npos);
}

TEST_F(Deploy, AFailingBuildFailsTheOperationWithItsReason) {
  const auto accepted = upload();
  ASSERT_EQ(accepted.status, 202) << accepted.body;
  const auto build = takeBuild();
  const auto work = node.desired(-1);
  const model::Failure failure{"build_failed", "make: exit 2"};
  ASSERT_EQ(
      node.report(*work, model::InstanceState::pending, {{build.id, model::BuildState::failed, "", failure}}).status,
      204);
  const auto done = alice.send("GET", "/v1/operations/" + accepted.text("id") + "?wait=20");
  EXPECT_EQ(done.text("state"), "failed") << done.body;
  EXPECT_EQ(done.json()->getObject("failure")->getValue<std::string>("code"), "build_failed");
  EXPECT_NE(done.body.find("make: exit 2"), std::string::npos);
  EXPECT_EQ(alice.send("GET", "/v1/apps/shop").text("release"), "0");
}

TEST_F(Deploy, OfARefusedUploadNothingIsKept) {
  const auto kept = [this] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(daemon.directory() + "/state/cloisterd/blobs")) {
      names.insert(entry.path().filename());
    }
    return names;
  };
  const auto before = kept();
  // Refused only when all of it is here: there is no such base image.
  const auto refused = tarGz({{"cloister.toml", "base = \"none\"\n[processes]\nweb = \"./serve\"\n"}});
  const auto reply =
      alice.send("POST", "/v1/apps/shop/deployments?create=true", refused, {{"Content-Type", "application/gzip"}});
  EXPECT_EQ(reply.status, 422) << reply.body;
  EXPECT_EQ(kept(), before);
  {
    Poco::Net::StreamSocket socket(Poco::Net::SocketAddress("127.0.0.1", daemon.port()));
    const std::string half =
        "POST /v1/apps/shop/deployments?create=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + alice.token() +
        "\r\nContent-Type: application/gzip\r\nContent-Length: 100000\r\n\r\n" + std::string(50'000, 'x');
    socket.sendBytes(half.data(), static_cast<int>(half.size()));
  }
  for (int i = 0; i < 100 && kept() != before; ++i) Poco::Thread::sleep(20);
  EXPECT_EQ(kept(), before) << "of an upload whose client left";
  // A source is gone when its build has ended.
  ASSERT_EQ(upload().status, 202);
  EXPECT_EQ(kept().size(), before.size() + 1);
  const auto quotas = alice.send("GET", "/v1/quotas");
  EXPECT_NE(quotas.body.find("\"name\":\"source_bytes\",\"unit\":\"bytes\",\"used\":" + std::to_string(source.size())),
            std::string::npos)
      << quotas.body;
  const auto build = takeBuild();
  const auto work = node.desired(-1);
  ASSERT_EQ(node.report(*work, model::InstanceState::pending,
                        {{build.id, model::BuildState::failed, "", {"build_failed", "make: exit 2"}}})
                .status,
            204);
  for (int i = 0; i < 400 && kept() != before; ++i) Poco::Thread::sleep(20);
  EXPECT_EQ(kept(), before);
}

TEST_F(Deploy, AnUnchangedSourceIsNotBuiltAgain) {
  ASSERT_EQ(upload().status, 202);
  const auto first = takeBuild();
  finishBuild(first.id);
  runInstances();
  const auto again = upload();
  ASSERT_EQ(again.status, 202) << again.body;
  const auto path = "/v1/apps/shop/builds/" + again.text("build");
  const auto log = alice.send("GET", path + "/log?follow=true");
  EXPECT_EQ(log.body, "Nothing has changed since build " + first.id + ": its image is used again\n");
  const auto build = alice.send("GET", path);
  EXPECT_EQ(build.text("state"), "succeeded");
  EXPECT_EQ(build.text("reused"), first.id);
  ASSERT_TRUE(node.await([](const auto& w) {
                    return std::any_of(w.instances.begin(), w.instances.end(),
                                       [](const auto& instance) { return instance.release == 2; });
                  })
                  .has_value());
  EXPECT_TRUE(node.desired(-1)->builds.empty());
  const auto anew =
      alice.send("POST", "/v1/apps/shop/deployments?no_cache=true", source, {{"Content-Type", "application/gzip"}});
  ASSERT_EQ(anew.status, 202) << anew.body;
  EXPECT_EQ(takeBuild().id, anew.text("build"));
}

TEST_F(Deploy, AnImageThatWillNotFitIsRefusedBeforeTheBuild) {
  ASSERT_EQ(upload().status, 202);
  const auto build = takeBuild();
  const auto slug = node.putBlob("slug");
  EXPECT_EQ(node.send("GET", "/node/v1/blobs/" + slug + "/present").status, 404) << "no launcher has it";
  model::BuildReport report{build.id, model::BuildState::succeeded, slug, {}};
  report.slugBytes = 6ULL << 30U;
  ASSERT_EQ(node.report(*node.desired(-1), model::InstanceState::pending, {report}).status, 204);
  runInstances();
  const auto releases = alice.send("GET", "/v1/apps/shop/releases").json()->getArray("items");
  EXPECT_EQ(releases->getObject(0)->getValue<std::uint64_t>("image_bytes"), 6ULL << 30U);
  const auto refused =
      alice.send("POST", "/v1/apps/shop/deployments?no_cache=true", source, {{"Content-Type", "application/gzip"}});
  EXPECT_EQ(refused.status, 403) << refused.body;
  EXPECT_EQ(refused.text("code"), "quota_exceeded");
  EXPECT_EQ(upload().status, 202) << "the same image again takes no room";
}

TEST_F(Deploy, ACancelledBuildEndsAtOnce) {
  const auto accepted = upload();
  ASSERT_EQ(accepted.status, 202);
  const auto build = takeBuild();
  const auto path = "/v1/apps/shop/builds/" + build.id + "/cancel";
  const auto cancelled = alice.send("POST", path);
  EXPECT_EQ(cancelled.status, 200) << cancelled.body;
  EXPECT_EQ(cancelled.text("state"), "cancelled");
  EXPECT_EQ(alice.send("GET", "/v1/operations/" + accepted.text("id")).text("state"), "failed");
  EXPECT_TRUE(node.desired(-1)->builds.empty());
  const auto again = alice.send("POST", path);
  EXPECT_EQ(again.status, 409) << again.body;
  EXPECT_EQ(again.text("code"), "build_ended");
  finishBuild(build.id);
  EXPECT_EQ(alice.send("GET", "/v1/apps/shop").text("release"), "0");
}

TEST_F(Deploy, ScalingAndSuspensionReachTheNode) {
  ASSERT_EQ(upload().status, 202);
  finishBuild(takeBuild().id);
  runInstances();
  const auto over = alice.send("PATCH", "/v1/apps/shop/formation", R"({"web": 9})");
  EXPECT_EQ(over.status, 403) << over.body;
  EXPECT_EQ(over.text("code"), "quota_exceeded");
  const auto unknown = alice.send("PATCH", "/v1/apps/shop/formation", R"({"cron": 1})");
  EXPECT_EQ(unknown.status, 422) << unknown.body;
  ASSERT_EQ(alice.send("PATCH", "/v1/apps/shop/formation", R"({"web": 2})").status, 202);
  EXPECT_TRUE(node.await([](const auto& w) { return w.instances.size() == 2; }).has_value());
  ASSERT_EQ(admin.send("POST", "/v1/tenants/alice/suspend").text("state"), "suspended");
  EXPECT_EQ(upload().status, 409);
  EXPECT_TRUE(node.await([](const auto& w) {
                    for (const auto& instance : w.instances) {
                      if (instance.desired == model::DesiredState::run) return false;
                    }
                    return true;
                  })
                  .has_value());
  ASSERT_EQ(admin.send("POST", "/v1/tenants/alice/resume").text("state"), "active");
  EXPECT_EQ(alice.send("GET", "/v1/apps/shop").text("release"), "1");
}

TEST_F(Deploy, UsageIsTakenOnceAndShown) {
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  const auto tenant = admin.send("GET", "/v1/tenants/alice").text("id");
  const auto app = alice.send("GET", "/v1/apps/shop").text("id");
  const auto batch = [&](const std::string& quantity) {
    return R"({"source": "one", "sequence": "1", "bootId": "b", "rows": [{"tenant": ")" + tenant + R"(", "app": ")" +
           app + R"(", "instance": "in-1", "meter": "cpu", "quantity": ")" + quantity +
           R"(", "from": "1700000000000000", "to": "1700100000000000"}]})";
  };
  for (int i = 0; i < 2; ++i) {
    const auto reply = node.send("POST", "/node/v1/usage", batch("12345678901234567"));
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.text("acknowledged"), "1");
  }
  EXPECT_EQ(node.send("POST", "/node/v1/usage", batch("1")).status, 409);
  EXPECT_EQ(node.send("POST", "/node/v1/usage", "{}").status, 400);
  const auto usage = alice.send("GET", "/v1/usage?from=2023-11-01T00:00:00Z&meter=cpu");
  const auto items = usage.json()->getArray("items");
  ASSERT_EQ(items->size(), 1U) << usage.body;
  EXPECT_EQ(items->getObject(0)->getValue<std::string>("quantity"), "12345678901234567");
  EXPECT_EQ(items->getObject(0)->getValue<std::string>("app"), "shop");
  const auto metrics = HttpClient(daemon.metricsPort(), "").send("GET", "/metrics");
  EXPECT_NE(metrics.body.find("cloister_tenant_cpu_seconds_total{tenant=\"" + tenant), std::string::npos);
  EXPECT_NE(metrics.body.find("cloister_http_requests_total{code=\"200\"}"), std::string::npos);
}

TEST_F(Deploy, TheNodesBytesMustBeWhatTheyAreCalled) {
  EXPECT_EQ(node.send("PUT", "/node/v1/blobs/" + digestOf("a"), "b", "application/octet-stream").status, 422);
  EXPECT_EQ(node.send("PUT", "/node/v1/blobs/..%2F..%2Fx", "b", "application/octet-stream").status, 400);
  EXPECT_EQ(node.send("GET", "/node/v1/blobs/" + digestOf("a")).status, 404);
  EXPECT_EQ(node.send("POST", "/node/v1/builds/bd-none/log", "x", "text/plain").status, 404);
  EXPECT_EQ(node.send("POST", "/node/v1/status", "{\"nodeId\": 7}").status, 400);
}

}  // namespace
}  // namespace cloister::testing
