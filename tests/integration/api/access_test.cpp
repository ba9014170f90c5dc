// Who may do what: scopes, tenancy, failed authentication.
#include <gtest/gtest.h>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

struct Access : ::testing::Test {
  DaemonProcess daemon;
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
  HttpClient bob = makeTenant(admin, "bob");
};

TEST_F(Access, EveryScopeReachesItsOwnEndpointsOnly) {
  const HttpClient nobody(daemon.port(), "");
  const HttpClient stranger(daemon.port(), "clst_0000000000000000000000000000000000000000");
  const HttpClient node(daemon.port(), daemon.nodeToken());
  struct Case {
    const HttpClient& client;
    const char* path;
    int status;
    const char* code;
  };
  const Case cases[] = {
      {nobody, "/healthz", 200, ""},
      {nobody, "/readyz", 200, ""},
      {nobody, "/openapi.json", 200, ""},
      {nobody, "/v1/whoami", 401, "unauthenticated"},
      {nobody, "/v1/apps", 401, "unauthenticated"},
      {stranger, "/v1/whoami", 401, "unauthenticated"},
      {node, "/v1/whoami", 403, "forbidden"},
      {node, "/v1/plans", 403, "forbidden"},
      {alice, "/v1/whoami", 200, ""},
      {alice, "/v1/plans", 403, "forbidden"},
      {alice, "/v1/tenants", 403, "forbidden"},
      {alice, "/v1/tenants/alice", 200, ""},
      {alice, "/v1/tenants/bob", 404, "not_found"},
      {alice, "/v1/tenants/nobody", 404, "not_found"},
      {alice, "/v1/nodes", 403, "forbidden"},
      {alice, "/v1/apps", 200, ""},
      {alice, "/v1/apps?tenant=alice", 200, ""},
      {alice, "/v1/apps?tenant=bob", 403, "forbidden"},
      {alice, "/v1/usage", 200, ""},
      {alice, "/v1/audit", 200, ""},
      {alice, "/v1/posture", 200, ""},
      {admin, "/v1/plans", 200, ""},
      {admin, "/v1/apps", 400, "tenant_required"},
      {admin, "/v1/usage", 400, "tenant_required"},
      {admin, "/v1/apps?tenant=nobody", 404, "not_found"},
      {admin, "/v1/apps?tenant=alice", 200, ""},
      {admin, "/v1/audit", 200, ""},
      {admin, "/node/v1/desired?node=one", 404, "not_found"},
  };
  for (const auto& one : cases) {
    const auto reply = one.client.send("GET", one.path);
    EXPECT_EQ(reply.status, one.status) << one.path << " " << reply.body;
    if (*one.code != '\0') {
      EXPECT_EQ(reply.text("code"), one.code) << one.path;
      EXPECT_EQ(reply.headers.at("Content-Type"), "application/problem+json");
    }
  }
}

TEST_F(Access, AnotherTenantsAppDoesNotExist) {
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  for (const char* path : {"/v1/apps/shop", "/v1/apps/shop/builds", "/v1/apps/shop/config", "/v1/apps/shop/secrets",
                           "/v1/apps/shop/releases", "/v1/apps/shop/instances", "/v1/apps/shop/domains",
                           "/v1/apps/shop/logs", "/v1/usage?app=shop"}) {
    EXPECT_EQ(bob.send("GET", path).status, 404) << path;
    // Its owner's logs need a node, which is not there.
    EXPECT_EQ(alice.send("GET", path).status, std::string(path) == "/v1/apps/shop/logs" ? 503 : 200) << path;
  }
  EXPECT_EQ(bob.send("DELETE", "/v1/apps/shop").status, 404);
  EXPECT_EQ(bob.send("PATCH", "/v1/apps/shop/config", R"({"A": "1"})").status, 404);
  EXPECT_EQ(bob.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201) << "names are unique within a tenant only";
}

TEST_F(Access, TokensAreShownOnceAndEndWhenRevoked) {
  const auto made = alice.send("POST", "/v1/tokens", R"({"name": "ci"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("scope"), "tenant");
  EXPECT_EQ(made.text("tenant"), "alice");
  const HttpClient ci(daemon.port(), made.text("secret"));
  EXPECT_EQ(ci.send("GET", "/v1/apps").status, 200);
  EXPECT_EQ(alice.send("GET", "/v1/tokens").body.find(made.text("secret")), std::string::npos);
  EXPECT_EQ(bob.send("DELETE", "/v1/tokens/" + made.text("id")).status, 404);
  EXPECT_EQ(alice.send("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_EQ(ci.send("GET", "/v1/apps").status, 401);
  const auto wide = alice.send("POST", "/v1/tokens", R"({"name": "x", "scope": "provider"})");
  EXPECT_EQ(wide.status, 403);
  EXPECT_EQ(wide.text("field"), "scope");
}

TEST_F(Access, ManyFailuresAreSlowedDownButNotGoodTokens) {
  const HttpClient wrong(daemon.port(), "clst_wrong");
  int limited = 0;
  for (int i = 0; i < 50; ++i) limited += wrong.send("GET", "/v1/whoami").status == 429 ? 1 : 0;
  EXPECT_GT(limited, 10);
  EXPECT_EQ(alice.send("GET", "/v1/whoami").status, 200);
  EXPECT_FALSE(wrong.send("GET", "/v1/whoami").headers["Retry-After"].empty());
}

TEST_F(Access, TheNodeSocketTakesNodesOnly) {
  const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
  EXPECT_TRUE(node.desired(-1).has_value());
  const FakeNode tenant(daemon.nodeSocket(), alice.token());
  EXPECT_EQ(tenant.send("GET", "/node/v1/desired?node=one").status, 403);
  const FakeNode provider(daemon.nodeSocket(), daemon.adminToken());
  EXPECT_EQ(provider.send("GET", "/node/v1/desired?node=one").status, 403);
}

TEST_F(Access, ANodesTokenSpeaksForItsNodeOnly) {
  const FakeNode one(daemon.nodeSocket(), daemon.nodeToken(), "one");
  EXPECT_TRUE(one.desired(-1).has_value());
  const FakeNode posing(daemon.nodeSocket(), daemon.nodeToken(), "two");
  EXPECT_EQ(posing.send("GET", "/node/v1/desired?node=two").status, 403);
  model::NodeStatus status;
  status.nodeId = "two";
  EXPECT_EQ(posing.send("POST", "/node/v1/status", model::toJson(status)).status, 403);
  const auto made = admin.send("POST", "/v1/tokens", R"({"name": "second", "scope": "node", "node": "two"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const FakeNode two(daemon.nodeSocket(), made.text("secret"), "two");
  EXPECT_TRUE(two.desired(-1).has_value());
  EXPECT_EQ(two.send("GET", "/node/v1/desired?node=one").status, 403);
  EXPECT_EQ(
      two.send("POST", "/node/v1/usage", R"({"source": "one", "sequence": "1", "bootId": "b", "rows": []})").status,
      403);
  EXPECT_EQ(admin.send("POST", "/v1/tokens", R"({"name": "x", "scope": "node", "node": "A b"})").status, 422);
  EXPECT_EQ(admin.send("POST", "/v1/tokens", R"({"name": "x", "scope": "provider", "node": "two"})").status, 422);
}

TEST_F(Access, AnswersCarrySecurityHeadersAndNoBanner) {
  const auto reply = alice.send("GET", "/v1/whoami");
  EXPECT_EQ(reply.headers.at("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(reply.headers.at("Cache-Control"), "no-store");
  EXPECT_FALSE(reply.headers.contains("Server"));
  EXPECT_FALSE(reply.headers.at("X-Request-Id").empty());
}

}  // namespace
}  // namespace cloister::testing
