// The control plane's fuzz targets, fed like corpus_test.cpp feeds those of the privileged side.
#include <archive.h>
#include <archive_entry.h>

#include "controlplane/model/node_protocol.h"
#include "metering/base/batch_json.h"
#include "tests/fuzz/feed.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

const std::string kLetters = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80";

TEST(FuzzCorpus, utf8Texts) {
  feed("utf8Text", utf8Text, {kLetters, "\xEF\xBB\xBFweb: a\r\n", R"({"a":"\\\u0000"})"}, 20'000);
}

TEST(FuzzCorpus, jsonBodies) {
  feed("jsonBody", jsonBody,
       {R"({"A":"b","C":null})", "{\"" + kLetters + "\":\"\\ud83d\\ude00\"}", R"({"a":[{"b":1e5}],"a":-0})"}, 20'000);
}

TEST(FuzzCorpus, requestTargets) {
  feed("requestTarget", requestTarget,
       {"/v1/apps/shop/logs?process=web&since=10m&follow", "/v1/apps/%C3%A9?argv=%F0%9F%98%80+x&argv=", "//?&&=%",
        "/v1/usage?from=2026-01-31T12:00:00.5%2B01:00"},
       20'000);
}

TEST(FuzzCorpus, httpRequests) {
  const std::string head = "POST /v1/apps?a=b%20c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n";
  const std::vector<std::string> seeds = {
      "GET http://a.example/b HTTP/1.0\r\n\r\n",
      head + "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n",
      head + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nTrailer: c\r\n\r\nGET /",
      head + "Expect: 100-continue\r\nUpgrade: websocket\r\nTE: trailers\r\nCookie: a=b\r\n\r\n",
  };
  feed("httpRequest", httpRequest, seeds, 20'000);
}

TEST(FuzzCorpus, nodeDocuments) {
  model::NodeWork work;
  work.nodeId = "nd-1";
  work.certified = true;
  work.tenants.push_back({"tn-1", "acme", 1, model::TenantState::active, "small", {}});
  model::DesiredInstance instance;
  instance.id = "in-1";
  instance.tenantId = "tn-1";
  instance.environment = {{"A", kLetters}};
  work.instances.push_back(instance);
  model::Session session;
  session.id = "ss-1";
  session.tenantId = "tn-1";
  session.process = kLetters;
  work.sessions.push_back(session);
  feed("nodeWork", nodeWork, {model::toJson(work)}, 5'000);
  model::NodeStatus status;
  status.nodeId = "nd-1";
  status.instances = {{"in-1", model::InstanceState::crashed, 3, "exit 1", 5, {1, 2}}};
  status.builds = {{"bd-1", model::BuildState::failed, "", {"build_failed", kLetters}, {}}};
  status.events = {{"tn-1", "shop", "instance.oom", kLetters}};
  feed("nodeStatus", nodeStatus, {model::toJson(status)}, 5'000);
  metering::UsageBatch batch;
  batch.source = "one";
  batch.sequence = 7;
  batch.bootId = "b";
  metering::UsageRow row;
  row.tenantId = "tn-1";
  row.quantity = 5;
  row.from = 1;
  row.to = 2;
  row.note = kLetters;
  batch.rows.push_back(row);
  feed("usageBatch", usageBatch, {metering::toJson(batch)}, 5'000);
}

TEST(FuzzCorpus, manifests) {
  feed("manifest", manifest,
       {"base = \"debian-12\"\n[build]\ncommands = [\"make\"]\n[processes]\nweb = \"" + kLetters +
            "\"\n[limits]\n"
            "memory = \"256M\"\ncpu = 0.5\npids = 64\n[http]\nhealth = \"/healthz\"\n",
        "\xEF\xBB\xBFweb: " + kLetters + "\r\n# x\nworker: a: b\n"},
       10'000);
}

TEST(FuzzCorpus, sourceArchives) {
  std::string bytes(1U << 20U, '\0');
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_pax_restricted(writer);
  ASSERT_EQ(archive_write_open_memory(writer, bytes.data(), bytes.size(), &used), ARCHIVE_OK);
  for (const char* name : {"Procfile", "a/b/link", "caf\xC3\xA9"}) {
    archive_entry* entry = archive_entry_new();
    const bool link = std::string_view(name).ends_with("link");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, link ? AE_IFLNK : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    if (link) archive_entry_set_symlink(entry, "../../Procfile");
    if (!link) archive_entry_set_size(entry, 7);
    archive_write_header(writer, entry);
    if (!link) archive_write_data(writer, "web: a\n", 7);
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  bytes.resize(used);
  feed("sourceArchive", sourceArchive, {bytes, bytes.substr(0, 3 * 512)}, 3'000);
}

TEST(FuzzCorpus, ignoreFiles) {
  feed("ignoreFile", ignoreFile,
       {std::string("*.o\n!keep/**/x\n/a/[b-d]?\n") + '\0' + "keep/a/b/x", std::string("**/**/**/z\0a/b/c", 16)},
       20'000);
}

TEST(FuzzCorpus, whatAppsSay) {
  feed("processOutput", processOutput,
       {std::string("\0\x1en:8888888", 11), "\x1en:0\nline\r\n\x1en:1\n" + kLetters + "\n",
        std::string(17'000, 'x') + kLetters},
       3'000);
  feed("healthAnswer", healthAnswer, {"HTTP/1.1 200 OK\r\n", "HTTP/1.0 503"}, 20'000);
  feed("sessionFrame", sessionFrame,
       {std::string("\3{\"resize\":{\"rows\":24,\"columns\":80}}"), std::string("\0input", 6), std::string("\4\xff"),
        std::string("\3{\"more\":524288}"), std::string("\3{\"start\":true}")},
       20'000);
}

}  // namespace
}  // namespace cloister::fuzz
