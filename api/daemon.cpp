#include "api/daemon.h"

#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>

#include "api/metrics.h"
#include "api/node/endpoints.h"
#include "api/resources/resources.h"
#include "api/server.h"
#include "api/services.h"
#include "controlplane/edge/edge.h"
#include "controlplane/reconcile/periodic.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/reconcile/retention.h"
#include "controlplane/reconcile/spending.h"
#include "controlplane/store/quotas.h"
#include "sandbox/base/files.h"

namespace cloister::api {
namespace {

constexpr std::size_t kNodeThreads = 256;
constexpr std::size_t kUploadsPerTenant = 4;
constexpr std::size_t kStreamsPerTenant = 48;
constexpr int kBacklog = 512;
constexpr auto kSpendingEvery = std::chrono::seconds(1);
constexpr auto kMaintenanceEvery = std::chrono::minutes(10);
constexpr auto kBlobSweepEvery = std::chrono::minutes(1);
constexpr model::Micros kIdempotencyKept = 24LL * 3600 * 1'000'000;
// An upload is on disk before its row is in the store.
constexpr std::int64_t kUnusedBlobSeconds = 120;
constexpr auto kSourcesEvery = std::chrono::seconds(5);
// Older ones are found by the maintenance.
constexpr model::Micros kSourceKept = 600LL * 1'000'000;
constexpr std::int64_t kBuildLogSeconds = 30LL * 24 * 3600;

std::string madeDirectory(const std::string& path) {
  if (const auto made = files::makeDirectories(path, 0750); !made) throw std::runtime_error(made.error().message());
  return path;
}

// Also while its server is away; Spending tells when it is back.
std::unique_ptr<metering::Ledger> openLedger(const std::string& location) {
  auto ledger = metering::Ledger::open(location);
  if (!ledger) throw std::runtime_error("the setting ledger: " + ledger.error().message());
  return std::move(ledger).value();
}

std::unique_ptr<metering::Billing> openBilling(const std::string& path) {
  auto billing = metering::Billing::open(path);
  if (!billing) throw std::runtime_error("the setting ledger: " + billing.error().message());
  return std::move(billing).value();
}

metering::SigningKey openSigningKey(const std::string& path) {
  auto key = metering::SigningKey::open(path);
  if (!key) throw std::runtime_error(key.error().message());
  return std::move(key).value();
}

// Only after the TCP port is ours: so two daemons cannot take each other's socket.
Poco::Net::ServerSocket nodeListener(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_socket(path, error)) std::filesystem::remove(path, error);
  const Poco::Net::SocketAddress address(Poco::Net::SocketAddress::UNIX_LOCAL, path);
  Poco::Net::ServerSocket socket(address, kBacklog);
  using std::filesystem::perms;
  std::filesystem::permissions(path, perms::owner_read | perms::owner_write | perms::group_read | perms::group_write);
  return socket;
}

Router clientRouter(const Services& services) {
  Router router;
  addService(router, services);
  addPlans(router, services);
  addTenants(router, services);
  addTokens(router, services);
  addNodes(router, services);
  addApps(router, services);
  addCallProfiles(router, services);
  addInstances(router, services);
  addDeployments(router, services);
  addStreams(router, services);
  addOperations(router, services);
  addRecords(router, services);
  addQuotas(router, services);
  addBilling(router, services);
  return router;
}

ServerLimits clientLimits(const Config& config) {
  ServerLimits limits;
  const auto threads = static_cast<std::size_t>(config.maxThreads);
  limits.workers.atWork = std::max<std::size_t>(threads / 8, 4);
  limits.workers.atWorkPerCaller = std::max<std::size_t>(limits.workers.atWork / 8, 2);
  limits.workers.lasting = std::max<std::size_t>(threads - limits.workers.atWork, 4);
  limits.room.connections = static_cast<std::size_t>(config.maxConnections);
  limits.room.perSource = static_cast<std::size_t>(config.maxConnectionsPerSource);
  limits.requestsPerSecond = config.requestsPerSecond;
  limits.requestsBurst = config.requestsBurst;
  return limits;
}

// Only nodes can reach this listener: all of them from one source, and none kept from what it must do.
ServerLimits nodeLimits() {
  ServerLimits limits;
  limits.workers = {kNodeThreads / 4, kNodeThreads / 4, 4096, 4096, kNodeThreads};
  limits.room.perSource = 0;
  limits.room.perCaller = 0;
  return limits;
}

Router nodeRouter(const Services& services) {
  Router router;
  addNodeEndpoints(router, services);
  return router;
}

// Sources of ended builds, images that no release has any more, and second copies of those that the launcher has.
void sweepBlobs(const Services& services) {
  const auto lock = services.store.lock();  // no release may take up an image meanwhile
  const auto bases = services.bases.digests();
  auto keep = services.store.releases().digestsInUse();
  keep.insert(keep.end(), bases.begin(), bases.end());
  // What came since the oldest running build began may be its image.
  auto seconds = kUnusedBlobSeconds;
  for (const auto& build : services.store.builds().unfinished()) {
    if (build.state != model::BuildState::running) continue;
    seconds = std::max(seconds, (store::now() - build.createdAt) / 1'000'000);
  }
  const auto removed = services.blobs.removeUnused(keep, seconds) + services.blobs.removeShared(bases);
  if (removed > 0) spdlog::info("removed {} blobs that nothing uses", removed);
}

// Removes what nothing refers to any more.
void sweep(const Services& services) {
  services.store.idempotencyKeys().dropBefore(store::now() - kIdempotencyKept);
  reconcile::retainAll(services.store);
  services.buildLogs.dropOlderThan(kBuildLogSeconds);
  for (const auto& tenant : services.store.tenants().list({"", 1'000'000})) {
    services.buildLogs.keep(store::Quotas(services.store).builds(tenant.id), store::kTenantQuotas.buildLogBytes);
  }
  if (const auto rows = store::Quotas(services.store).prune(); rows > 0) spdlog::info("dropped {} old records", rows);
  services.buildLogs.dropUnless(
      [&](const std::string& build) { return services.store.builds().find(build).has_value(); });
  forgetGoneTenants(services.store, services.exposition);
}

// A source is of no use once its build has ended.
void dropEndedSources(const Services& services) {
  for (const auto& digest : store::Quotas(services.store).endedSources(store::now() - kSourceKept)) {
    (void)services.blobs.discard(digest, [&] { return store::Quotas(services.store).inUse(digest); });
  }
}

// One-off instances live in the sessions of a cloisterd that is no more.
void closeOrphanedRuns(store::Store& store, reconcile::Deployments& deployments) {
  for (const auto& record : store.instances().all()) {
    if (record.kind == store::InstanceKind::oneOff) deployments.closeRun(record.instance.id);
  }
}

// Images that were there before their sizes were kept.
void measureImages(store::Store& store, const builds::BlobStore& blobs) {
  for (const auto& tenant : store.tenants().list({"", 1'000'000})) {
    const auto sizes = store.images().of(tenant.id);
    for (const auto& release : store.releases().images(tenant.id)) {
      for (const auto& digest : release.digests) {
        if (sizes.contains(digest)) continue;
        if (const auto size = blobs.size(digest)) store.images().set(tenant.id, digest, *size);
      }
    }
  }
}

void announcePlans(store::Store& store, metering::Exposition& exposition) {
  for (const auto& tenant : store.tenants().list({"", 1'000'000})) exposition.setPlan(tenant.id, tenant.plan);
}

}  // namespace

struct Daemon::Parts {
  explicit Parts(Config configuration)
      : config(std::move(configuration)),
        store({madeDirectory(config.directory()) + "/cloister.db", config.keyFile()}),
        ledger(openLedger(config.ledger())),
        billing(openBilling(config.ledger())),
        signingKey(openSigningKey(config.signingKey())),
        exposition(std::make_shared<metering::Exposition>(*ledger)),
        blobs(config.blobs(), config.layers()),
        bases(config.bases()),
        deployments(store, {[this](const std::string& name) { return bases.digest(name); }, 10}),
        nodeWork(store, config.appsDomain),
        sessions([this] { store.transact([this] { store.bumpRevision(); }); }),
        buildLogs(config.buildLogs(), config.maxBuildLogBytes),
        services{config,      store,    blobs,     deployments, nodeWork, *ledger, *billing, signingKey,
                 *exposition, sessions, buildLogs, bases,       uploads,  streams, rights,   stopping},
        clients(clientRouter(services)),
        nodes(nodeRouter(services)),
        edge({config.edgeSocketPath(), madeDirectory(config.edgeMapsPath())}),
        spending(store, *ledger, *billing, deployments),
        reconciler(store, reconcilerOptions(), [this](const edge::Routes& routes) { return applyRoutes(routes); }) {
    store.idempotencyKeys().abandonAll();
    closeOrphanedRuns(store, deployments);
    announcePlans(store, *exposition);
    measureImages(store, blobs);
    const Poco::Net::ServerSocket clientSocket(Poco::Net::SocketAddress(config.listen), kBacklog);
    metrics = std::make_unique<Metrics>(config.metricsListen, store, exposition);
    loop = std::make_unique<reconcile::Loop>(store, reconciler);
    spendingLoop =
        std::make_unique<reconcile::Periodic>("billing", kSpendingEvery, [this] { spending.step(store::now()); });
    streamRights = std::make_unique<reconcile::Periodic>("streams", StreamRights::kEvery, [this] { rights.sweep(); });
    blobSweep = std::make_unique<reconcile::Periodic>("blobs", kBlobSweepEvery, [this] { sweepBlobs(services); });
    maintenance = std::make_unique<reconcile::Periodic>("maintenance", kMaintenanceEvery, [this] { sweep(services); });
    sources = std::make_unique<reconcile::Periodic>("sources", kSourcesEvery, [this] { dropEndedSources(services); });
    const auto served = [this](int status, double seconds) { metrics->served(status, seconds); };
    madeDirectory(config.runDirectory());
    nodeServer =
        std::make_unique<Server>(nodeListener(config.nodeSocket()), nodes, store, nodeLimits(), [](int, double) {});
    clientServer = std::make_unique<Server>(clientSocket, clients, store, clientLimits(config), served);
    spdlog::info("cloisterd serves {} (clients), {} (nodes), {} (metrics)", config.listen, config.nodeSocket(),
                 config.metricsListen);
  }

  [[nodiscard]] reconcile::Reconciler::Options reconcilerOptions() {
    reconcile::Reconciler::Options options;
    options.appsDomain = config.appsDomain;
    options.hasImage = [this](const std::string& digest) { return blobs.has(digest); };
    options.settle = static_cast<model::Micros>(config.settleSeconds) * 1'000'000;
    return options;
  }

  bool applyRoutes(const edge::Routes& routes) {
    const bool live = edge.apply(routes);
    // The loop asks each second: only news is worth a line.
    if (auto error = edge.lastError(); error != lastEdgeError) {
      if (!error.empty()) spdlog::warn("edge: {}", error);
      lastEdgeError = std::move(error);
    }
    return live;
  }

  Config config;
  std::atomic<bool> stopping{false};
  store::Store store;
  std::unique_ptr<metering::Ledger> ledger;
  std::unique_ptr<metering::Billing> billing;
  metering::SigningKey signingKey;
  std::shared_ptr<metering::Exposition> exposition;
  builds::BlobStore blobs;
  BaseImages bases;
  reconcile::Deployments deployments;
  reconcile::NodeWorkService nodeWork;
  Sessions sessions;
  BuildLogs buildLogs;
  Slots uploads{kUploadsPerTenant};
  Slots streams{kStreamsPerTenant};
  StreamRights rights{store};
  Services services;
  Router clients;
  Router nodes;
  edge::EdgeMap edge;
  std::string lastEdgeError;
  reconcile::Spending spending;
  reconcile::Reconciler reconciler;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<reconcile::Loop> loop;
  std::unique_ptr<reconcile::Periodic> spendingLoop;
  std::unique_ptr<reconcile::Periodic> blobSweep;
  std::unique_ptr<reconcile::Periodic> maintenance;
  std::unique_ptr<reconcile::Periodic> streamRights;
  std::unique_ptr<reconcile::Periodic> sources;
  std::unique_ptr<Server> nodeServer;
  std::unique_ptr<Server> clientServer;
};

Daemon::Daemon(const Config& config) : parts_(std::make_unique<Parts>(config)) {}

Daemon::~Daemon() {
  stop();
}

void Daemon::stop() {
  if (parts_->stopping.exchange(true)) return;
  parts_->store.wakeAll();
  parts_->sessions.stop();
  parts_->clientServer->stop();
  parts_->nodeServer->stop();
  parts_->loop->stop();
}

}  // namespace cloister::api
