#include "controlplane/reconcile/retention.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace cloister::reconcile {
namespace {

// Rows of releases without an image, and of builds, that an app keeps for whoever asks what happened.
constexpr std::int64_t kReleaseHistory = 100;
constexpr std::int64_t kBuildHistory = 50;
constexpr std::size_t kMostLayers = 24;  // of an app, for its next builds

using Version = std::pair<std::string, std::int64_t>;  // app, release

// Each image once, however many releases have it.
class Sum {
 public:
  explicit Sum(std::map<std::string, std::uint64_t> sizes) : sizes_(std::move(sizes)) {}
  [[nodiscard]] std::uint64_t more(const std::vector<std::string>& digests) const {
    std::uint64_t bytes = 0;
    for (const auto& digest : digests) bytes += digests_.contains(digest) ? 0 : sizeOf(digest);
    return bytes;
  }
  void add(const std::vector<std::string>& digests) {
    for (const auto& digest : digests) {
      if (digests_.insert(digest).second) bytes_ += sizeOf(digest);
    }
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] bool has(const std::string& digest) const { return digests_.contains(digest); }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& sizes() const { return sizes_; }

 private:
  [[nodiscard]] std::uint64_t sizeOf(const std::string& digest) const {
    const auto found = sizes_.find(digest);
    return found == sizes_.end() ? 0 : found->second;
  }
  std::map<std::string, std::uint64_t> sizes_;
  std::set<std::string> digests_;
  std::uint64_t bytes_ = 0;
};

std::set<Version> neededReleases(store::Store& store, const std::vector<model::App>& apps) {
  std::set<Version> needed;
  for (const auto& app : apps) {
    needed.emplace(app.id, app.currentRelease);
    for (const auto& record : store.instances().ofApp(app.id, {"", 1'000'000})) {
      needed.emplace(app.id, record.instance.release);
    }
    for (const auto& rollout : store.rollouts().ofApp(app.id)) {
      needed.emplace(app.id, rollout.release);
      needed.emplace(app.id, rollout.previousRelease);
    }
  }
  return needed;
}

std::vector<model::App> appsOf(store::Store& store, const model::Tenant& tenant) {
  return store.apps().list(tenant.id, {"", 1'000'000});
}

Sum sumOfNeeded(store::Store& store, const model::Tenant& tenant) {
  const auto needed = neededReleases(store, appsOf(store, tenant));
  Sum sum(store.images().of(tenant.id));
  for (const auto& release : store.releases().images(tenant.id)) {
    if (needed.contains({release.appId, release.version})) sum.add(release.digests);
  }
  return sum;
}

// Layers that no release has: what fits beside those, used last first. True: some went.
bool dropLayers(store::Store& store, const model::App& app, const model::PlanLimits& limits, Sum& sum) {
  std::size_t count = 0;
  bool dropped = false;
  for (const auto& layer : store.buildLayers().of(app.id)) {
    if (++count <= kMostLayers && sum.bytes() + sum.more({layer.digest}) <= limits.imageDiskBytes) {
      sum.add({layer.digest});
    } else if (!sum.has(layer.digest)) {
      store.buildLayers().erase(app.id, layer.inputs);
      dropped = true;
    }
  }
  return dropped;
}

void refuseOver(store::Store& store, const model::Tenant& tenant, std::uint64_t needed, std::uint64_t asked) {
  const auto limit = store.plans().get(tenant.plan).limits.imageDiskBytes;
  if (needed + asked > limit) {
    throw store::QuotaExceeded("imageDiskBytes", "", asked, limit > needed ? limit - needed : 0, tenant.plan);
  }
}

}  // namespace

ImageUse retain(store::Store& store, const model::Tenant& tenant) {
  return store.transact([&] {
    const auto limits = store.plans().get(tenant.plan).limits;
    const auto apps = appsOf(store, tenant);
    const auto needed = neededReleases(store, apps);
    Sum sum = sumOfNeeded(store, tenant);
    ImageUse use{sum.bytes(), 0};
    std::map<std::string, std::uint64_t> counts;
    bool full = false;
    bool dropped = false;
    for (const auto& release : store.releases().images(tenant.id)) {
      const auto count = ++counts[release.appId];
      if (needed.contains({release.appId, release.version})) continue;
      const auto more = sum.more(release.digests);
      full = full || (more > 0 && sum.bytes() + more > limits.imageDiskBytes);
      if (count <= limits.releases && !(full && more > 0)) {
        sum.add(release.digests);
        continue;
      }
      store.releases().dropImage(release.appId, release.version);
      dropped = true;
    }
    for (const auto& app : apps) dropped = dropLayers(store, app, limits, sum) || dropped;
    use.kept = sum.bytes();
    for (const auto& [digest, bytes] : sum.sizes()) {
      if (!sum.has(digest)) store.images().erase(tenant.id, digest);
    }
    for (const auto& app : apps) {
      store.releases().forget(app.id, kReleaseHistory);
      store.builds().forget(app.id, kBuildHistory);
    }
    if (dropped) store.bumpRevision();  // nodes need not keep them any more
    return use;
  });
}

void retainAll(store::Store& store) {
  for (const auto& tenant : store.tenants().list({"", 1'000'000})) retain(store, tenant);
}

void checkImageDisk(store::Store& store, const model::Tenant& tenant, const std::string& appId) {
  const Sum sum = sumOfNeeded(store, tenant);
  std::uint64_t asked = 0;
  for (const auto& release : store.releases().images(tenant.id)) {
    if (release.appId != appId) continue;
    const auto size = sum.sizes().find(release.digests.front());
    if (size != sum.sizes().end()) asked = size->second;
    break;
  }
  refuseOver(store, tenant, sum.bytes(), asked);
}

void admitImages(store::Store& store, const model::Tenant& tenant, const std::map<std::string, std::uint64_t>& images) {
  store.transact([&] {
    std::vector<std::string> digests;
    for (const auto& [digest, bytes] : images) {
      store.images().set(tenant.id, digest, bytes);
      digests.push_back(digest);
    }
    const Sum sum = sumOfNeeded(store, tenant);
    refuseOver(store, tenant, sum.bytes(), sum.more(digests));
  });
}

void requireImage(store::Store& store, const model::Tenant& tenant, const model::Release& release) {
  if (release.imageKept) return;
  const auto limits = store.plans().get(tenant.plan).limits;
  throw store::Conflict("image_dropped", "release",
                        "the image of v" + std::to_string(release.version) + " is no longer kept: plan \"" +
                            tenant.plan + "\" keeps those of an app's last " + std::to_string(limits.releases) +
                            " releases, as far as its image disk goes");
}

}  // namespace cloister::reconcile
