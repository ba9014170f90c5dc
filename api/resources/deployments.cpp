#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/String.h>

#include <chrono>
#include <istream>

#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"
#include "api/server.h"
#include "api/source_quota.h"
#include "api/streaming.h"
#include "api/writes.h"
#include "controlplane/builds/archive.h"
#include "controlplane/builds/manifest.h"
#include "controlplane/builds/steps.h"
#include "sandbox/base/identity.h"

namespace cloister::api {
namespace {

constexpr std::size_t kUploadBuffer = 256UL * 1024;
// A node may send the last of a log after the report that the build has ended.
constexpr auto kLateOutput = std::chrono::seconds(2);

struct Source {
  builds::Blob blob;
  std::vector<builds::Blob> parts{};  // the files of single steps
  std::string tree;
  std::vector<model::BuildStep> steps{};
  model::Manifest manifest;
};

void judgeHead(const Services& services, const Request& request) {
  if (request.tenant->state != model::TenantState::active) {
    throw Problem(409, "tenant_not_active", "the tenant is " + std::string(model::name(request.tenant->state)));
  }
  const auto& name = request.parameter("app");
  if (!services.store.apps().find(request.tenant->id, name)) {
    if (!request.flag("create")) throw notFound("the app \"" + name + "\"");
    if (!validLabel(name)) {
      throw unacceptable("invalid_name", "app", "\"" + name + "\" is not a DNS label: 1 to 63 of a-z, 0-9 and '-'");
    }
  }
  std::string type = request.raw.getContentType();
  type = Poco::toLower(Poco::trim(type.substr(0, type.find(';'))));
  if (type != "application/gzip" && type != "application/x-gzip") {
    throw Problem(415, "unsupported_media_type", "the body must be a .tar.gz, as application/gzip", "Content-Type");
  }
  const auto limit = services.config.maxSourceBytes;
  if (request.raw.hasContentLength() && static_cast<std::uint64_t>(request.raw.getContentLength64()) > limit) {
    throw builds::TooLarge(limit);
  }
}

void receive(const Services& services, Request& request, SourceQuota& quota, Source& source) {
  auto upload = quota.begin(request.tenant->id, request.raw.hasContentLength() ? request.raw.getContentLength64() : 0);
  builds::BlobStore::Writer writer(services.blobs, services.config.maxSourceBytes);
  acceptBody(request);
  std::istream& in = request.raw.stream();
  std::string buffer(kUploadBuffer, '\0');
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    upload.add(in.gcount());
    writer.append({buffer.data(), static_cast<std::size_t>(in.gcount())});
  }
  requireWholeBody(request);
  request.bodyRead = true;
  const auto contents = builds::inspectArchive(writer.path());
  source.tree = contents.treeDigest;
  source.manifest = builds::manifestOf(contents.manifest, contents.procfile);
  source.steps = builds::planSteps(source.manifest, writer.path(), services.blobs, source.parts);
  source.blob = writer.commit();
}

model::Reuse reuseOf(const Request& request) {
  return request.flag("no_cache") ? model::Reuse::nothing : model::Reuse::unchanged;
}

Answer release(const Services& services, const Request& request, const Source& source) {
  const auto& name = request.parameter("app");
  auto app = services.store.apps().find(request.tenant->id, name);
  if (!app) app = services.store.apps().create(request.tenant->id, name);
  const auto operation = services.deployments.deploy(app->id, source.manifest, source.blob.digest, request.caller->id,
                                                     {source.tree, reuseOf(request), source.steps});
  auto out = represent(operation);
  for (const auto& build : services.store.builds().list(app->id, {"", 1})) {
    if (build.operationId == operation.id) out->set("build", build.id);
  }
  Answer answer = answerWith(out, 202);
  answer.headers["Location"] = "/v1/operations/" + operation.id;
  return answer;
}

// A source that no build will read is gone before the answer is sent.
void discard(const Services& services, Source& source) {
  std::vector<std::string> digests{source.blob.digest};
  for (const auto& part : source.parts) digests.push_back(part.digest);
  source.blob.held = nullptr;
  source.parts.clear();
  for (const auto& digest : digests) {
    (void)services.blobs.discard(digest, [&] { return store::Quotas(services.store).inUse(digest); });
  }
}

Answer deploy(const Services& services, Request& request, SourceQuota& quota) {
  Source source;
  try {
    judgeHead(services, request);
    const auto held = services.uploads.take(request.tenant->id);
    receive(services, request, quota, source);
    if (const auto settle = request.query("settle"))
      source.manifest.settleMillis = builds::parseSettle(*settle, "settle");
  } catch (const std::exception& error) {
    discard(services, source);
    audit(services.store, request, toProblem(error).status);
    throw;
  }
  try {
    auto answer =
        write(services.store, request, source.blob.digest, [&] { return release(services, request, source); });
    // The answer may be that of an earlier request, whose build has ended.
    discard(services, source);
    return answer;
  } catch (...) {
    discard(services, source);
    throw;
  }
}

model::Build buildOf(const Services& services, const Request& request) {
  const auto app = appOf(services, request);
  auto build = services.store.builds().find(request.parameter("id"));
  if (!build || build->appId != app.id) throw notFound("the build " + request.parameter("id"));
  return *build;
}

bool ended(const model::Build& build) {
  return build.state != model::BuildState::queued && build.state != model::BuildState::running;
}

Answer log(const Services& services, Request& request) {
  const auto build = buildOf(services, request);
  const bool follow = request.flag("follow");
  const auto held = services.streams.take(request.tenant->id);
  const auto rights = services.rights.hold(request, build.appId, StreamRights::Use::reading);
  Stream stream(request, "text/plain; charset=utf-8");
  std::uint64_t offset = 0;
  std::chrono::steady_clock::time_point finished{};
  while (!services.stopping && rights->why().empty() && stream.open()) {
    const auto chunk = services.buildLogs.read(build.id, offset);
    offset += chunk.size();
    if (!chunk.empty()) {
      stream.write(chunk);
      continue;
    }
    const auto current = services.store.builds().find(build.id);
    if (offset == 0 && current && !current->reused.empty()) {
      stream.write("Nothing has changed since build " + current->reused + ": its image is used again\n");
      break;
    }
    if (!follow) break;
    const auto now = std::chrono::steady_clock::now();
    if (!current) break;
    if (ended(*current)) {
      if (finished == std::chrono::steady_clock::time_point{}) finished = now;
      if (ended(build) || now - finished > kLateOutput) break;
    }
    stream.flush();
    (void)services.store.waitChange(services.store.changes(), std::chrono::milliseconds(200));
  }
  return stream.finish();
}

std::uint64_t bytesOf(const model::Release& release, std::map<std::string, std::uint64_t>& sizes) {
  auto bytes = sizes[release.slugDigest];
  for (const auto& layer : release.layers) bytes += sizes[layer];
  return bytes;
}

}  // namespace

void addDeployments(Router& router, const Services& services) {
  const auto quota = std::make_shared<SourceQuota>(services.store, services.blobs);
  router.add("POST", "/v1/apps/{app}/deployments", Access::tenant, Payload::stream,
             [services, quota](Request& request) { return deploy(services, request, *quota); });
  router.add("GET", "/v1/apps/{app}/builds", Access::tenant, [services](Request& request) {
    const auto page = pageOf(request);
    const auto app = appOf(services, request);
    return answerPage(
        page, services.store.builds().list(app.id, page), [](const model::Build& build) { return build.id; },
        [&](const model::Build& build) { return represent(build, app.name); });
  });
  router.add("GET", "/v1/apps/{app}/builds/{id}", Access::tenant, [services](Request& request) {
    return answerWith(represent(buildOf(services, request), request.parameter("app")));
  });
  router.add("POST", "/v1/apps/{app}/builds/{id}/cancel", Access::tenant, [services](Request& request) {
    const auto build = buildOf(services, request);
    return answerWith(represent(services.deployments.cancelBuild(build.id), request.parameter("app")));
  });
  router.add("GET", "/v1/apps/{app}/builds/{id}/log", Access::tenant,
             [services](Request& request) { return log(services, request); });
  router.add("GET", "/v1/apps/{app}/releases", Access::tenant, [services](Request& request) {
    const auto page = pageOf(request);
    const auto app = appOf(services, request);
    auto sizes = services.store.images().of(app.tenantId);
    return answerPage(
        page, services.store.releases().list(app.id, page),
        [](const model::Release& release) { return std::to_string(release.version); },
        [&](const model::Release& release) { return represent(release, app, bytesOf(release, sizes)); });
  });
}

}  // namespace cloister::api
