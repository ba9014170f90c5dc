#include "api/bootstrap.h"

#include <Poco/String.h>
#include <spdlog/spdlog.h>

#include <stdexcept>

#include "api/base_images.h"
#include "controlplane/builds/blobs.h"
#include "controlplane/edge/edge.h"
#include "controlplane/store/store.h"
#include "sandbox/base/files.h"

namespace cloister::api {
namespace {

constexpr mode_t kPrivate = 0600;

void ensureToken(store::Store& store, const std::string& path, const std::string& name, model::Scope scope) {
  if (path.empty()) return;
  if (const auto text = files::read(path, 4096)) {
    const auto token = store.tokens().authenticate(Poco::trim(text.value()));
    if (token && token->scope == scope) return;
  }
  const auto made = store.tokens().create(name, scope);
  if (const auto written = files::replace(path, made.secret + "\n", kPrivate); !written) {
    throw std::runtime_error(written.error().message());
  }
  spdlog::info("wrote a new {} token to {}", model::name(scope), path);
}

}  // namespace

void bootstrap(const Config& config, const BootstrapOptions& options) {
  if (const auto made = files::makeDirectories(config.directory(), 0750); !made) {
    throw std::runtime_error(made.error().message());
  }
  store::Store store({config.database(), config.keyFile()});
  edge::ensureMapFiles(config.edgeMapsPath());
  ensureToken(store, options.adminTokenFile, "admin", model::Scope::provider);
  ensureToken(store, options.nodeTokenFile, "node", model::Scope::node);
  if (options.baseImage.empty()) return;
  builds::BlobStore blobs(config.blobs());
  const auto digest = BaseImages(config.bases()).add(options.baseName, options.baseImage, blobs);
  spdlog::info("base image {} is {}", options.baseName, digest);
}

}  // namespace cloister::api
