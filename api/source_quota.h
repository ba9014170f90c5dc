// SourceQuota: the bytes of sources that a tenant has on the server and that are not built yet, uploads under way
// included.
//
//   const auto upload = quota.begin(tenant.id, contentLength);   // refused before a byte is read
//   while (...) { upload.add(bytes); writer.append(...); }
//
// Threads: any; an Upload belongs to one. Failures: Refusal "quota_exceeded" that names the quota and what is used.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "controlplane/builds/blobs.h"
#include "controlplane/store/quotas.h"
#include "controlplane/store/store.h"

namespace cloister::api {

// What waits to be built, by the store and the blobs.
[[nodiscard]] store::TenantQuota sourcesWaiting(store::Store& store, const builds::BlobStore& blobs,
                                                const std::string& tenantId);

class SourceQuota {
 public:
  SourceQuota(store::Store& store, const builds::BlobStore& blobs) : store_(store), blobs_(blobs) {}

  class Upload {
   public:
    Upload(SourceQuota& quota, std::string tenantId, store::TenantQuota waiting)
        : quota_(quota), tenantId_(std::move(tenantId)), waiting_(std::move(waiting)) {}
    ~Upload() { quota_.give(tenantId_, bytes_); }
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;
    void add(std::int64_t bytes);

   private:
    SourceQuota& quota_;
    std::string tenantId_;
    std::int64_t bytes_ = 0;
    store::TenantQuota waiting_;
  };
  // `announced`: the length that the client gave, or 0.
  [[nodiscard]] Upload begin(const std::string& tenantId, std::int64_t announced);

 private:
  void give(const std::string& tenantId, std::int64_t bytes);
  store::Store& store_;
  const builds::BlobStore& blobs_;
  std::mutex mutex_;
  std::map<std::string, std::int64_t> underWay_;
};

}  // namespace cloister::api
