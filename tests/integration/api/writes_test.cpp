// Idempotency keys, ETags, pages and the audit trail.
#include <gtest/gtest.h>

#include "daemon_process.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

struct Writes : ::testing::Test {
  DaemonProcess daemon;
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
};

TEST_F(Writes, ARepeatedKeyGetsTheFirstAnswer) {
  const Headers key = {{"Idempotency-Key", "deploy-1"}};
  const auto first = alice.send("POST", "/v1/apps", R"({"name": "shop"})", key);
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_FALSE(first.headers.contains("Idempotency-Replayed"));
  const auto again = alice.send("POST", "/v1/apps", R"({"name": "shop"})", key);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(again.headers.at("Location"), first.headers.at("Location"));
  EXPECT_EQ(again.headers.at("ETag"), first.headers.at("ETag"));
  EXPECT_EQ(again.headers.at("Idempotency-Replayed"), "true");
  const auto other = alice.send("POST", "/v1/apps", R"({"name": "blog"})", key);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.text("code"), "idempotency_mismatch");
  EXPECT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 409) << "without the key it runs again";
}

TEST_F(Writes, AKeyIsRememberedOverKillAndARefusalIsNot) {
  const Headers key = {{"Idempotency-Key", "token-1"}};
  const auto first = alice.send("POST", "/v1/tokens", R"({"name": "ci"})", key);
  ASSERT_EQ(first.status, 201);
  const Headers refusedKey = {{"Idempotency-Key", "app-1"}};
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "Bad Name"})", refusedKey).status, 422);
  daemon.kill();
  daemon.start();
  const auto again = alice.send("POST", "/v1/tokens", R"({"name": "ci"})", key);
  EXPECT_EQ(again.text("secret"), first.text("secret"));
  EXPECT_EQ(again.headers.at("Idempotency-Replayed"), "true");
  EXPECT_EQ(alice.send("POST", "/v1/apps", R"({"name": "good"})", refusedKey).status, 201)
      << "what changed nothing may be tried again, corrected";
}

TEST_F(Writes, AChangeOfSomethingStaleIsRefused) {
  const auto plan = admin.send("GET", "/v1/plans/small");
  const auto tag = plan.headers.at("ETag");
  const std::string body = R"({"limits": {"instances": 7}})";
  const auto changed = admin.send("PATCH", "/v1/plans/small", body, {{"If-Match", tag}});
  ASSERT_EQ(changed.status, 200) << changed.body;
  EXPECT_NE(changed.headers.at("ETag"), tag);
  const auto stale = admin.send("PATCH", "/v1/plans/small", body, {{"If-Match", tag}});
  EXPECT_EQ(stale.status, 412);
  EXPECT_EQ(stale.text("code"), "precondition_failed");
  EXPECT_EQ(stale.text("field"), "If-Match");
  EXPECT_EQ(admin.send("PATCH", "/v1/plans/small", body, {{"If-Match", "*"}}).status, 200);
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  EXPECT_EQ(alice.send("DELETE", "/v1/apps/shop", "", {{"If-Match", "\"999\""}}).status, 412);
  EXPECT_EQ(alice.send("GET", "/v1/apps/shop").text("status"), "empty");
}

TEST_F(Writes, ListsComeInPages) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": ")" + std::string(name) + R"("})").status, 201);
  }
  std::string names;
  std::string cursor;
  for (int pages = 0; pages < 5; ++pages) {
    const auto reply = alice.send("GET", "/v1/apps?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor));
    ASSERT_EQ(reply.status, 200) << reply.body;
    const auto items = reply.json()->getArray("items");
    for (const auto& item : *items) {
      names += item.extract<Poco::JSON::Object::Ptr>()->getValue<std::string>("name");
    }
    cursor = reply.text("next");
    if (cursor.empty()) break;
  }
  EXPECT_EQ(names, "abc");
}

TEST_F(Writes, EachIsOnRecordWithItsOutcome) {
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 409);
  ASSERT_EQ(alice.send("PATCH", "/v1/apps/shop/config", R"({"KEY": "value-to-hide"})").status, 202);
  const auto trail = alice.send("GET", "/v1/audit");
  ASSERT_EQ(trail.status, 200);
  const auto items = trail.json()->getArray("items");
  ASSERT_GE(items->size(), 3U);
  const auto at = [&](unsigned index) { return items->getObject(index); };
  EXPECT_EQ(at(0)->getValue<std::string>("action"), "PATCH /v1/apps/shop/config");
  EXPECT_EQ(at(1)->getValue<int>("status"), 409);
  EXPECT_EQ(at(2)->getValue<int>("status"), 201);
  EXPECT_EQ(at(2)->getValue<std::string>("tenant"), "alice");
  EXPECT_EQ(trail.body.find("value-to-hide"), std::string::npos);
}

TEST_F(Writes, ConfigIsMergedAndSecretsAreNeverShown) {
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  ASSERT_EQ(alice.send("PATCH", "/v1/apps/shop/config", R"({"A": "1", "B": "2"})").status, 202);
  ASSERT_EQ(alice.send("PATCH", "/v1/apps/shop/config", R"({"A": null, "C": "3"})").status, 202);
  const auto config = alice.send("GET", "/v1/apps/shop/config");
  EXPECT_EQ(config.text("A"), "");
  EXPECT_EQ(config.text("B"), "2");
  EXPECT_EQ(config.text("C"), "3");
  ASSERT_EQ(alice.send("PATCH", "/v1/apps/shop/secrets", R"({"KEY": "hush-hush"})").status, 202);
  const auto secrets = alice.send("GET", "/v1/apps/shop/secrets");
  EXPECT_NE(secrets.body.find("KEY"), std::string::npos);
  EXPECT_EQ(secrets.body.find("hush"), std::string::npos);
  EXPECT_EQ(daemon.log().find("hush"), std::string::npos);
}

TEST_F(Writes, BootstrapKeepsTokensThatAreValid) {
  const auto before = daemon.adminToken();
  daemon.terminate();
  daemon.start();
  EXPECT_EQ(daemon.adminToken(), before);
  EXPECT_EQ(admin.send("GET", "/v1/whoami").text("scope"), "provider");
}

}  // namespace
}  // namespace cloister::testing
