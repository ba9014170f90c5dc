// Every bad input gets its status, a stable code, the field at fault, and leaves nothing half-made.
#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/StreamSocket.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "daemon_process.h"
#include "http_client.h"

namespace cloister::testing {
namespace {

struct BadInput : ::testing::Test {
  DaemonProcess daemon{"max_source_bytes = 200000"};
  HttpClient admin{daemon.port(), daemon.adminToken()};
  HttpClient alice = makeTenant(admin, "alice");
};

std::string nested(std::size_t depth) {
  std::string text = R"({"name": )";
  for (std::size_t i = 0; i < depth; ++i) text += '[';
  for (std::size_t i = 0; i < depth; ++i) text += ']';
  return text + "}";
}

struct Case {
  const char* method;
  const char* path;
  std::string body;
  int status;
  const char* code;
  const char* field;
  Headers headers = {};
};

void check(const HttpClient& client, const Case& one) {
  const auto reply = client.send(one.method, one.path, one.body, one.headers);
  const auto what = std::string(one.method) + " " + one.path + " " + one.body.substr(0, 80) + " -> " + reply.body;
  EXPECT_EQ(reply.status, one.status) << what;
  EXPECT_EQ(reply.text("code"), one.code) << what;
  EXPECT_EQ(reply.text("field"), one.field) << what;
}

TEST_F(BadInput, OfAProvider) {
  const std::string plan = planBody("p");
  std::string noPids = plan;
  noPids.replace(noPids.find(R"("pids": 200,)"), 12, "");
  std::string negative = plan;
  negative.replace(negative.find("200"), 3, "-20");
  const Case cases[] = {
      {"POST", "/v1/plans", R"({"name": )", 400, "malformed_json", ""},
      {"POST", "/v1/plans", R"({"name": "p"} x)", 400, "malformed_json", ""},
      {"POST", "/v1/plans", R"({"name": "p", "name": "q"})", 400, "malformed_json", ""},
      {"POST", "/v1/plans", "[]", 400, "malformed_json", ""},
      {"POST", "/v1/plans", nested(20'000), 400, "malformed_json", ""},
      {"POST", "/v1/plans", "{\"name\": \"\xff\"}", 400, "malformed_json", ""},
      {"POST", "/v1/plans", R"({"limits": {}})", 400, "missing_field", "name"},
      {"POST", "/v1/plans", R"({"name": "p"})", 400, "missing_field", "limits"},
      {"POST", "/v1/plans", R"({"name": 7, "limits": {}})", 400, "invalid_field", "name"},
      {"POST", "/v1/plans", R"({"name": "p", "limits": 7})", 400, "invalid_field", "limits"},
      {"POST", "/v1/plans", R"({"name": "p", "limits": {}, "extra": 1})", 400, "missing_field", "limits.memory_bytes"},
      {"POST", "/v1/plans", noPids, 400, "missing_field", "limits.pids"},
      {"POST", "/v1/plans", negative, 400, "invalid_field", "limits.pids"},
      {"POST", "/v1/plans", plan.substr(0, plan.size() - 2) + R"(, "colour": 1}})", 400, "unknown_field",
       "limits.colour"},
      {"POST", "/v1/plans", plan.substr(0, plan.size() - 1) + R"(, "colour": 1})", 400, "unknown_field", "colour"},
      {"POST", "/v1/plans", plan, 415, "unsupported_media_type", "Content-Type", {{"Content-Type", "text/plain"}}},
      {"POST", "/v1/plans", std::string(1'200'000, ' '), 413, "too_large", ""},
      {"POST",
       "/v1/plans",
       plan,
       400,
       "invalid_field",
       "Idempotency-Key",
       {{"Idempotency-Key", std::string(256, 'k')}}},
      {"PATCH", "/v1/plans/none", R"({"limits": {}})", 404, "not_found", ""},
      {"POST", "/v1/tenants", R"({"name": "x", "plan": "none"})", 422, "plan_unknown", "plan"},
      {"POST", "/v1/tenants", R"({"name": "alice", "plan": "small"})", 409, "name_taken", "name"},
      {"PATCH", "/v1/tenants/alice", R"({"plan": "none"})", 422, "plan_unknown", "plan"},
      {"POST", "/v1/tenants/alice/suspend", R"({"why": "x"})", 400, "unknown_field", "why"},
      {"POST", "/v1/tokens", R"({"name": "x"})", 400, "missing_field", "tenant"},
      {"POST", "/v1/tokens", R"({"name": "x", "tenant": "nobody"})", 422, "tenant_unknown", "tenant"},
      {"POST", "/v1/tokens", R"({"name": "x", "scope": "root"})", 422, "invalid_field", "scope"},
      {"POST", "/v1/nodes/none/cordon", "", 404, "not_found", ""},
      {"PUT", "/v1/plans", "", 405, "method_not_allowed", ""},
      {"GET", "/v1/nothing", "", 404, "not_found", ""},
      {"GET", "/v1/plans?limit=0", "", 400, "invalid_field", "limit"},
      {"GET", "/v1/plans?limit=x", "", 400, "invalid_field", "limit"},
      {"GET", "/v1/plans?cursor=Zm9v", "", 400, "invalid_field", "cursor"},
      {"GET", "/v1/plans?cursor=%21%21", "", 400, "invalid_field", "cursor"},
      {"GET", "/v1/plans/%zz", "", 400, "malformed_url", ""},
      {"GET", "/v1/plans/a%00b", "", 400, "malformed_url", ""},
      {"GET", "/v1/plans/%ff", "", 400, "malformed_url", ""},
      {"GET", "/v1/plans/\xff", "", 400, "malformed_request", ""},
      {"GET", "/v1/plans?limit=%ff", "", 400, "malformed_url", "limit"},
      {"GET", "/v1/plans?%c3=1", "", 400, "malformed_url", ""},
      {"POST", "/v1/plans", planBody("p"), 400, "malformed_request", "", {{"Idempotency-Key", "k\xff"}}},
  };
  for (const auto& one : cases) check(admin, one);
  EXPECT_EQ(admin.send("GET", "/v1/plans").json()->getArray("items")->size(), 1U) << "no refused plan was made";
  EXPECT_TRUE(daemon.alive());
}

TEST_F(BadInput, NoTextInAPathBreaksOrFloodsTheAuditTrail) {
  for (const char* path : {"/v1/apps/%ff", "/v1/apps/%ff?tenant=alice", "/v1/apps/%c3?tenant=alice",
                           "/v1/apps/%ed%a0%80", "/v1/tenants/%ff/suspend", "/v1/%ff"}) {
    EXPECT_EQ(admin.send("DELETE", path).status, 400) << path;
    EXPECT_EQ(admin.send("POST", path, "{}").status, 400) << path;
  }
  const std::string name(7'000, 'n');
  EXPECT_EQ(alice.send("DELETE", "/v1/apps/" + name).status, 404);
  std::string letters;
  for (int i = 0; i < 1'000; ++i) letters += "%C3%A9";
  EXPECT_EQ(alice.send("DELETE", "/v1/apps/x" + letters).status, 404);
  EXPECT_EQ(alice.send("DELETE", "/v1/apps/" + letters).status, 404);
  const auto trail = alice.send("GET", "/v1/audit?limit=3");
  ASSERT_EQ(trail.status, 200) << trail.body;
  const auto rows = trail.json()->getArray("items");
  ASSERT_EQ(rows->size(), 3U) << trail.body;
  for (unsigned i = 0; i < 3; ++i) {
    const auto row = rows->getObject(i);
    EXPECT_LE(row->getValue<std::string>("action").size(), 512U);
    EXPECT_LE(row->getValue<std::string>("subject").size(), 512U);
    EXPECT_TRUE(row->getValue<std::string>("subject").ends_with("..."));
  }
}

TEST_F(BadInput, NamesAreDnsLabels) {
  for (const char* name : {"", "A", "a_b", "-a", "a-", "a.b", "a/b", "..", "a b", "\\u00e9",
                           "a123456789012345678901234567890123456789012345678901234567890123"}) {
    for (const char* path : {"/v1/apps?tenant=alice", "/v1/tenants"}) {
      const std::string rest = std::string(path) == "/v1/tenants" ? R"(", "plan": "small"})" : R"("})";
      const auto reply = admin.send("POST", path, R"({"name": ")" + std::string(name) + rest);
      EXPECT_EQ(reply.status, 422) << path << " " << name << " " << reply.body;
      EXPECT_EQ(reply.text("field"), "name") << path << " " << name;
    }
  }
}

TEST_F(BadInput, OfATenant) {
  ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": "shop"})").status, 201);
  const Case cases[] = {
      {"POST", "/v1/apps", R"({"name": "shop"})", 409, "name_taken", "name"},
      {"POST", "/v1/apps", R"({"nmae": "x"})", 400, "missing_field", "name"},
      {"GET", "/v1/apps/none", "", 404, "not_found", ""},
      {"POST", "/v1/apps/shop/rollback", R"({"version": 9})", 422, "release_unknown", "version"},
      {"POST", "/v1/apps/shop/rollback", R"({"version": "v1"})", 400, "invalid_field", "version"},
      {"PATCH", "/v1/apps/shop/formation", R"({"web": -1})", 400, "invalid_field", "web"},
      {"PATCH", "/v1/apps/shop/formation", R"({"web": 1.5})", 400, "invalid_field", "web"},
      {"PATCH", "/v1/apps/shop/formation", R"({"web": 99999999999999999999999})", 400, "malformed_json", ""},
      {"PATCH", "/v1/apps/shop/formation", "{}", 400, "missing_field", ""},
      {"PATCH", "/v1/apps/shop/config", R"({"A": 1})", 400, "invalid_field", "A"},
      {"GET", "/v1/apps/shop/builds/bd-none", "", 404, "not_found", ""},
      {"GET", "/v1/operations/op-none", "", 404, "not_found", ""},
      {"GET", "/v1/usage?from=yesterday", "", 400, "invalid_field", "from"},
      {"GET", "/v1/usage?from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z", "", 400, "invalid_field", "from"},
      {"GET", "/v1/usage?meter=weight", "", 400, "invalid_field", "meter"},
      {"GET", "/v1/periods/2026-01/invoice?focus_version=1.2", "", 400, "invalid_field", "focus_version"},
      {"GET", "/v1/periods/2026-01/invoice?format=csv&focus_version=1.3", "", 400, "invalid_field", "focus_version"},
      {"GET", "/v1/periods/2026-01/invoice?format=focus&focus_version=1.4", "", 400, "invalid_field", "focus_version"},
      {"GET", "/v1/periods/2026-01/invoice?format=focus&focus_version=", "", 400, "invalid_field", "focus_version"},
      {"GET", "/v1/apps/shop/logs?lines=-3", "", 400, "invalid_field", "lines"},
      {"GET", "/v1/apps/shop/logs?follow=maybe", "", 400, "invalid_field", "follow"},
      {"GET", "/v1/apps/shop/exec", "", 400, "websocket_required", "Upgrade"},
      {"GET", "/v1/apps/shop/exec?argv=ls", "", 400, "argv_in_address", "argv", {{"Upgrade", "websocket"}}},
      {"GET", "/v1/apps/shop/exec", "", 409, "not_running", "instance", {{"Upgrade", "websocket"}}},
      {"GET", "/v1/apps/shop/run", "", 409, "no_release", "", {{"Upgrade", "websocket"}}},
      {"DELETE", "/v1/apps/shop/domains/www.example.org", "", 404, "not_found", ""},
  };
  for (const auto& one : cases) check(alice, one);
  for (const char* host : {"", "localhost/", "a b", "*.example.org", "-x.org", "http://x.org", "shop.bob.localhost",
                           "x.LOCALHOST", "co.uk", "metadata.google.internal", "169.254.169.254"}) {
    const auto reply = alice.send("POST", "/v1/apps/shop/domains", R"({"host": ")" + std::string(host) + R"("})");
    EXPECT_EQ(reply.status, 422) << host << " " << reply.body;
    EXPECT_EQ(reply.text("field"), "host") << host;
  }
  for (const char* name : {"", "1A", "A-B", "A=B", "PORT", "CLOISTER_X"}) {
    const auto reply = alice.send("PATCH", "/v1/apps/shop/config", R"({")" + std::string(name) + R"(": "v"})");
    EXPECT_EQ(reply.status, 422) << name << " " << reply.body;
  }
}

TEST_F(BadInput, TheAppsOfAPlanAreCounted) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(alice.send("POST", "/v1/apps", R"({"name": ")" + std::string(name) + R"("})").status, 201);
  }
  const auto reply = alice.send("POST", "/v1/apps", R"({"name": "d"})");
  EXPECT_EQ(reply.status, 403) << reply.body;
  EXPECT_EQ(reply.text("code"), "quota_exceeded");
  EXPECT_NE(reply.text("detail").find("apps"), std::string::npos) << reply.body;
}

TEST_F(BadInput, HostileArchivesAndManifests) {
  const TarEntry proc{"Procfile", "web: ./serve\n"};
  struct Archive {
    const char* what;
    std::string bytes;
    int status;
    const char* code;
    const char* field;
  };
  const Archive cases[] = {
      {"no gzip", "this is no archive", 422, "archive_invalid", ""},
      {"empty", "", 422, "archive_invalid", ""},
      {"cut", tarGz({proc, {"data", std::string(100'000, 'x')}}).substr(0, 60), 422, "archive_invalid", ""},
      {"parent", tarGz({proc, {"../evil", "x"}}), 422, "archive_invalid", "../evil"},
      {"inner parent", tarGz({proc, {"a/../../evil", "x"}}), 422, "archive_invalid", "a/../../evil"},
      {"absolute", tarGz({proc, {"/etc/passwd", "x"}}), 422, "archive_invalid", "/etc/passwd"},
      {"device", tarGz({proc, {"dev", "", '3'}}), 422, "archive_invalid", "dev"},
      {"fifo", tarGz({proc, {"pipe", "", '6'}}), 422, "archive_invalid", "pipe"},
      {"link out", tarGz({proc, {"out", "", '2', "../../etc"}}), 422, "archive_invalid", "out"},
      {"absolute link", tarGz({proc, {"out", "", '2', "/etc/shadow"}}), 422, "archive_invalid", "out"},
      {"hard link out", tarGz({proc, {"out", "", '1', "../../etc/shadow"}}), 422, "archive_invalid", "out"},
      {"no manifest", tarGz({{"README", "hello"}}), 422, "manifest_invalid", "cloister.toml"},
      {"unknown key", tarGz({{"cloister.toml", "colour = 1\n[processes]\nweb = \"x\""}}), 422, "manifest_invalid",
       "colour"},
      {"bad limit", tarGz({{"cloister.toml", "[processes]\nweb = \"x\"\n[limits]\nmemory = \"much\""}}), 422,
       "manifest_invalid", "limits.memory"},
      {"over the plan", tarGz({{"cloister.toml", "[processes]\nweb = \"x\"\n[limits]\nmemory = \"64G\""}}), 403,
       "quota_exceeded", "limits.memory"},
      {"unknown base", tarGz({{"cloister.toml", "base = \"plan9\"\n[processes]\nweb = \"x\""}}), 422,
       "manifest_invalid", "base"},
  };
  for (const auto& one : cases) {
    const auto reply =
        alice.send("POST", "/v1/apps/web/deployments?create=true", one.bytes, {{"Content-Type", "application/gzip"}});
    EXPECT_EQ(reply.status, one.status) << one.what << " " << reply.body;
    EXPECT_EQ(reply.text("code"), one.code) << one.what << " " << reply.body;
    EXPECT_EQ(reply.text("field"), one.field) << one.what << " " << reply.body;
  }
  EXPECT_EQ(alice.send("GET", "/v1/apps/web").status, 404) << "a refused deploy made no app";
  EXPECT_EQ(alice.send("GET", "/v1/operations").json()->getArray("items")->size(), 0U);
  for (const auto& entry : std::filesystem::directory_iterator(daemon.directory() + "/state/cloisterd/blobs")) {
    EXPECT_EQ(entry.path().filename().string().find(".incoming"), std::string::npos) << entry.path();
  }
}

TEST_F(BadInput, UploadsBeyondTheLimitAreRefusedAtTheHeadAndOnTheWay) {
  const auto big = alice.send("POST", "/v1/apps/web/deployments?create=true", std::string(200'001, 'x'),
                              {{"Content-Type", "application/gzip"}});
  EXPECT_EQ(big.status, 413) << big.body;
  EXPECT_EQ(big.text("code"), "too_large");
  // Chunked: its size is not known before. The answer comes while the client still sends.
  Poco::Net::HTTPClientSession session("127.0.0.1", daemon.port());
  Poco::Net::HTTPRequest request("POST", "/v1/apps/web/deployments?create=true", Poco::Net::HTTPRequest::HTTP_1_1);
  request.setCredentials("Bearer", alice.token());
  request.setContentType("application/gzip");
  request.setChunkedTransferEncoding(true);
  std::ostream& out = session.sendRequest(request);
  const std::string piece(50'000, 'x');
  for (int i = 0; i < 100 && out.good(); ++i) out << piece;
  out.flush();
  Poco::Net::HTTPResponse response;
  session.receiveResponse(response);
  EXPECT_EQ(response.getStatus(), 413);
  EXPECT_EQ(alice.send("POST", "/v1/apps/web/deployments", "x", {{"Content-Type", "application/gzip"}}).status, 404);
  EXPECT_EQ(alice.send("POST", "/v1/apps/web/deployments?create=true", "x", {{"Content-Type", "text/plain"}}).status,
            415);
  EXPECT_EQ(alice.send("POST", "/v1/apps/W_b/deployments?create=true", "x", {{"Content-Type", "application/gzip"}})
                .text("code"),
            "invalid_name");
}

TEST_F(BadInput, RawGarbageDoesNotEndTheProcess) {
  const std::string garbage[] = {"\r\n\r\n",
                                 "GET\r\n\r\n",
                                 "GET / HTTP/9.9\r\n\r\n",
                                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                                 "GET " + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n",
                                 "POST /v1/plans HTTP/1.1\r\nContent-Length: -5\r\n\r\n{}",
                                 "POST /v1/plans HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
                                 "POST /v1/plans HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
                                 "GET /%ff%fe?%zz=%00&&==& HTTP/1.1\r\n\r\n",
                                 "GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n"};
  for (const auto& bytes : garbage) {
    Poco::Net::StreamSocket socket(Poco::Net::SocketAddress("127.0.0.1", daemon.port()));
    socket.setReceiveTimeout(Poco::Timespan(5, 0));
    char answer[512];
    try {
      socket.sendBytes(bytes.data(), static_cast<int>(bytes.size()));
      socket.shutdownSend();
      (void)socket.receiveBytes(answer, sizeof answer);
    } catch (const Poco::Exception&) {
      // Closing without an answer is fine.
    }
  }
  EXPECT_TRUE(daemon.alive());
  EXPECT_EQ(alice.send("GET", "/v1/whoami").status, 200);
}

}  // namespace
}  // namespace cloister::testing
