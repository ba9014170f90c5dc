#include "api/source_quota.h"

#include <set>

namespace cloister::api {

store::TenantQuota sourcesWaiting(store::Store& store, const builds::BlobStore& blobs, const std::string& tenantId) {
  store::TenantQuota quota{"source_bytes", "bytes", 0, store::kTenantQuotas.sourceBytes};
  std::set<std::string> digests;
  for (const auto& build : store.builds().unfinished()) {
    if (build.tenantId == tenantId) digests.insert(build.sourceDigest);
  }
  for (const auto& digest : digests) quota.used += static_cast<std::int64_t>(blobs.size(digest).value_or(0));
  return quota;
}

SourceQuota::Upload SourceQuota::begin(const std::string& tenantId, std::int64_t announced) {
  auto waiting = sourcesWaiting(store_, blobs_, tenantId);
  {
    const std::scoped_lock lock(mutex_);
    if (const auto other = underWay_.find(tenantId); other != underWay_.end()) {
      auto both = waiting;
      both.used += other->second;
      store::requireRoom(both, announced, "");
    } else {
      store::requireRoom(waiting, announced, "");
    }
  }
  return {*this, tenantId, std::move(waiting)};
}

void SourceQuota::Upload::add(std::int64_t bytes) {
  const std::scoped_lock lock(quota_.mutex_);
  auto& underWay = quota_.underWay_[tenantId_];
  auto used = waiting_;
  used.used += underWay;
  store::requireRoom(used, bytes, "");
  underWay += bytes;
  bytes_ += bytes;
}

void SourceQuota::give(const std::string& tenantId, std::int64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const auto entry = underWay_.find(tenantId);
  if (entry != underWay_.end() && (entry->second -= bytes) == 0) underWay_.erase(entry);
}

}  // namespace cloister::api
