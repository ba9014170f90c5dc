#include "api/writes.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>
#include <string_view>

#include "api/ledger_failure.h"
#include "api/problem.h"
#include "controlplane/builds/archive.h"
#include "controlplane/builds/blobs.h"
#include "controlplane/builds/manifest.h"
#include "metering/base/sql.h"
#include "sandbox/base/quantity.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

constexpr std::size_t kMaxKey = 255;

void checkKey(const std::string& key) {
  bool printable = key.size() <= kMaxKey;
  for (const char c : key) printable = printable && c >= 0x20 && c < 0x7F;
  if (!printable) throw invalidField("Idempotency-Key", "must be 1 to 255 printable ASCII characters");
}

// Sealed at rest, for it may hold a new token's secret.
store::StoredResponse pack(store::Store& store, const Answer& answer) {
  Poco::JSON::Object object;
  object.set("type", answer.type);
  object.set("body", answer.body);
  Poco::JSON::Object headers;
  for (const auto& [name, value] : answer.headers) headers.set(name, value);
  object.set("headers", headers);
  std::ostringstream text;
  object.stringify(text);
  return {answer.status, store.seal(utf8::jsonText(text.str()))};
}

Answer unpack(store::Store& store, const store::StoredResponse& stored) {
  const auto object = Poco::JSON::Parser().parse(store.unseal(stored.body)).extract<Poco::JSON::Object::Ptr>();
  Answer answer;
  answer.status = stored.status;
  answer.type = object->getValue<std::string>("type");
  answer.body = object->getValue<std::string>("body");
  for (const auto& [name, value] : *object->getObject("headers")) answer.headers[name] = value.convert<std::string>();
  answer.headers["Idempotency-Replayed"] = "true";
  return answer;
}

// The API's members are snake_case, the model's limits are not.
std::string snakeCase(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') {
      out += '_';
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
  }
  return out;
}

std::string withApiNames(std::string text) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "imageDiskBytes",       "memoryHighBytes", "cpuBurstMillis",   "diskBytesPerSecond", "diskOperationsPerSecond",
      "memoryBytes",          "cpuMillis",       "diskBytes",        "buildMemoryBytes",   "buildDiskBytes",
      "networkBitsPerSecond", "buildSeconds",    "memoryByteSeconds"};
  for (const auto name : kNames) {
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      text.replace(at, name.size(), snakeCase(std::string(name)));
    }
  }
  return text;
}

Problem fromRefusal(const store::Refusal& refusal) {
  const std::string detail = withApiNames(refusal.what());
  const std::string field = withApiNames(refusal.field());
  if (refusal.code() == "idempotency_key_reused") return {422, "idempotency_mismatch", detail, "Idempotency-Key"};
  switch (refusal.kind()) {
    case store::RefusalKind::notFound:
      return {404, "not_found", detail};
    case store::RefusalKind::conflict:
      return {409, refusal.code(), detail, field};
    case store::RefusalKind::stale:
      return {412, "precondition_failed", detail, "If-Match"};
    case store::RefusalKind::quota:
      return {403, refusal.code(), detail, field};
    case store::RefusalKind::invalid:
      break;
  }
  return {422, refusal.code(), detail, field};
}

}  // namespace

Problem toProblem(const std::exception& error) {
  if (const auto* problem = dynamic_cast<const Problem*>(&error)) return *problem;
  if (const auto* refusal = dynamic_cast<const store::Refusal*>(&error)) return fromRefusal(*refusal);
  if (const auto* large = dynamic_cast<const builds::TooLarge*>(&error)) {
    return {413, "too_large", "the body is larger than " + humanBytes(static_cast<double>(large->limit()))};
  }
  if (const auto* archive = dynamic_cast<const builds::ArchiveError*>(&error)) {
    const bool large = archive->code() == "archive_too_large";
    return {large ? 413 : 422, large ? "too_large" : "archive_invalid", archive->what(), archive->entry()};
  }
  if (const auto* manifest = dynamic_cast<const builds::ManifestError*>(&error)) {
    return {422, "manifest_invalid", manifest->what(), manifest->field()};
  }
  if (dynamic_cast<const builds::DigestMismatch*>(&error) != nullptr) return {422, "digest_mismatch", error.what()};
  if (const auto* blob = dynamic_cast<const builds::BlobError*>(&error)) {
    if (blob->code() == ENOSPC || blob->code() == EDQUOT) return {507, "storage_full", "the server's storage is full"};
  }
  if (const auto* ledger = dynamic_cast<const LedgerFailure*>(&error)) {
    if (ledger->error().code == ENOSPC) return {507, "storage_full", "the ledger's storage is full"};
    // Refused by a server that came back as another one: the provider mends that, not the caller.
    if (metering::isAway(ledger->error()) || ledger->error().code == EACCES) {
      return {503, "ledger_unavailable", "the ledger does not answer; nothing was taken for good, ask again"};
    }
  }
  return {500, "internal", "the server failed; its log has the request id"};
}

void audit(store::Store& store, const Request& request, int status) {
  model::AuditEntry entry;
  if (request.caller) entry.actor = request.caller->id;
  if (request.tenant) entry.tenantId = request.tenant->id;
  entry.action = request.method + " " + request.shownPath();
  std::string subject;
  for (const auto& [name, value] : request.parameters) {
    subject += (subject.empty() ? "" : " ");
    subject += name;
    subject += '/';
    subject += value;
  }
  entry.subject = subject;
  entry.status = status;
  store.audit().append(std::move(entry));
}

namespace {

// The answer of the first request with this key.
std::optional<Answer> reserve(store::Store& store, const Request& request, const std::string& key,
                              const std::string& content) {
  if (key.empty()) return std::nullopt;
  const auto print = store::sha256(request.method + " " + request.target() + "\n" + content);
  const auto known = store.idempotencyKeys().begin(request.caller->id, key, print);
  return known ? std::optional(unpack(store, *known)) : std::nullopt;
}

void finish(store::Store& store, const Request& request, const std::string& key, const Answer& answer) {
  audit(store, request, answer.status);
  if (!key.empty()) store.idempotencyKeys().finish(request.caller->id, key, pack(store, answer));
}

}  // namespace

Answer write(store::Store& store, Request& request, const std::string& content, const std::function<Answer()>& change) {
  const auto key = request.header("Idempotency-Key");
  checkKey(key);
  try {
    return store.transact([&] {
      if (auto known = reserve(store, request, key, content)) return *known;
      Answer answer = change();
      finish(store, request, key, answer);
      return answer;
    });
  } catch (const std::exception& error) {
    audit(store, request, toProblem(error).status);
    throw;
  }
}

Answer writeApart(store::Store& store, Request& request, const std::string& content,
                  const std::function<Answer()>& change) {
  const auto key = request.header("Idempotency-Key");
  checkKey(key);
  bool reserved = false;
  try {
    if (auto known = reserve(store, request, key, content)) return *known;
    reserved = !key.empty();
    Answer answer = change();
    store.transact([&] { finish(store, request, key, answer); });
    return answer;
  } catch (const std::exception& error) {
    store.transact([&] {
      if (reserved) store.idempotencyKeys().abandon(request.caller->id, key);
      audit(store, request, toProblem(error).status);
    });
    throw;
  }
}

}  // namespace cloister::api
