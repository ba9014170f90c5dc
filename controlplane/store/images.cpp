#include "controlplane/store/images.h"

#include "controlplane/store/store.h"

namespace cloister::store {

void Images::set(const std::string& tenantId, const std::string& digest, std::uint64_t bytes) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO images (tenant_id, digest, bytes) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (tenant_id, digest) DO UPDATE SET bytes = excluded.bytes",
        tenantId, digest, bytes);
  });
}

std::map<std::string, std::uint64_t> Images::of(const std::string& tenantId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT digest, bytes FROM images WHERE tenant_id = ?1");
  query.bind(tenantId);
  std::map<std::string, std::uint64_t> sizes;
  while (query.step()) query.get(1, sizes[query.text(0)]);
  return sizes;
}

void Images::erase(const std::string& tenantId, const std::string& digest) {
  store_.transact(
      [&] { store_.database().run("DELETE FROM images WHERE tenant_id = ?1 AND digest = ?2", tenantId, digest); });
}

}  // namespace cloister::store
