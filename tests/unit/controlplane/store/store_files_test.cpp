// The store's database and key as files: over restarts, from older schemas, damaged.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "controlplane/store/migrations.h"
#include "tests/unit/controlplane/store/store_fixture.h"

namespace cloister::store {
namespace {

namespace fs = std::filesystem;

class StoreFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::temp_directory_path() / newId("cloister-store");
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }
  [[nodiscard]] Store::Options options() const { return {directory_ / "cloister.db", directory_ / "secret.key"}; }
  fs::path directory_;
};

TEST_F(StoreFiles, KeepsEverythingOverARestart) {
  std::string appId;
  std::int64_t revision = 0;
  {
    Store store(options());
    store.plans().create("small", smallLimits());
    const auto tenant = store.tenants().create("demo", "small");
    appId = store.apps().create(tenant.id, "hello").id;
    store.environments().setInitial(appId, {{{"A", "1"}}, {{"KEY", store.environments().seal("value")}}});
    (void)store.idempotencyKeys().begin("tk", "open", "x");
    revision = store.revision();
  }
  Store store(options());
  EXPECT_EQ(store.revision(), revision);
  EXPECT_EQ(store.environments().values(appId, 0), (std::map<std::string, std::string>{{"A", "1"}, {"KEY", "value"}}));
  EXPECT_EQ(schemaOf(store.database()), latestSchema());
  EXPECT_FALSE(store.idempotencyKeys().begin("tk", "open", "x")) << "what a dead process left open may be tried again";
  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "secret.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(StoreFiles, APlanOfAnOlderSchemaHasNoneOfTheLaterLimits) {
  {
    Database database(directory_ / "cloister.db");
    migrate(database, 1);
    database.script(
        "INSERT INTO plans VALUES ('old', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1);"
        "INSERT INTO tenants VALUES ('tn-1', 'acme', 'old', 'active', 7, 1234, 1)");
  }
  Store store(options());
  const auto limits = store.plans().get("old").limits;
  EXPECT_EQ(limits.buildSeconds, 11U);
  EXPECT_EQ(limits.memoryHighBytes + limits.cpuBurstMillis, 0U);
  EXPECT_EQ(limits.diskBytesPerSecond + limits.diskOperationsPerSecond, 0U);
  EXPECT_EQ(limits.releases, 10U);
  EXPECT_EQ(limits.imageDiskBytes, 10ULL << 30U);
  // Tenants from before there were bills have been on their plan since they were made.
  const auto waiting = store.ledgerOutbox().oldest(10);
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting.at(0).sequence, 7U);
  const auto& row = waiting.at(0).rows.at(0);
  EXPECT_EQ(row.tenantId, "tn-1");
  EXPECT_EQ(row.meter, metering::Meter::lifecycle);
  EXPECT_EQ(row.note, "plan - -> old");
  EXPECT_EQ(row.from, 1234);
}

TEST_F(StoreFiles, ReleasesOfAnOlderSchemaGetTheSecretsThatTheirAppHad) {
  constexpr int kSecretsWereTheApps = 6;
  const auto older = options();
  { Store store(older); }
  std::string sealed;
  {
    Store key({":memory:", older.keyFile});
    sealed = key.seal("value");
  }
  fs::remove(directory_ / "cloister.db");
  {
    Database database(directory_ / "cloister.db");
    migrate(database, kSecretsWereTheApps);
    database.script(
        "INSERT INTO plans (name, memory_bytes, cpu_millis, pids, disk_bytes, inodes, network_bits_per_second, "
        "instances,"
        " apps, build_memory_bytes, build_disk_bytes, build_seconds) VALUES ('p', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);"
        "INSERT INTO tenants VALUES ('tn-1', 'acme', 'p', 'active', 7, 1234, 1);"
        "INSERT INTO apps (id, tenant_id, name, current_release, formation, config, created_at) VALUES"
        " ('ap-1', 'tn-1', 'shop', 2, '{}', '{\"A\":\"2\"}', 1), ('ap-2', 'tn-1', 'new', 0, '{}', '{\"B\":\"1\"}', 1);"
        "INSERT INTO releases VALUES ('ap-1', 1, '', 'b', 's', '{}', '{\"KEY\":\"open\"}', 'deploy', '', 1),"
        " ('ap-1', 2, '', 'b', 's', '{}', '{\"A\":\"2\"}', 'secret set KEY', '', 2);"
        "INSERT INTO secrets VALUES ('ap-1', 'KEY', '" +
        sealed + "', 5), ('ap-1', 'K_Y', '" + sealed + "', 5), ('ap-2', 'KEY', '" + sealed + "', 5)");
  }
  Store store(older);
  using Values = std::map<std::string, std::string>;
  EXPECT_EQ(store.environments().values("ap-1", 2), (Values{{"A", "2"}, {"KEY", "value"}, {"K_Y", "value"}}));
  EXPECT_EQ(store.environments().values("ap-1", 1), (Values{{"KEY", "open"}, {"K_Y", "value"}}))
      << "what a release says in the open is not a secret of it";
  EXPECT_EQ(store.environments().values("ap-1", 0), Values()) << "no second copy";
  EXPECT_EQ(store.environments().values("ap-2", 0), (Values{{"B", "1"}, {"KEY", "value"}}));
  EXPECT_EQ(store.releases().get("ap-1", 1).state, model::ReleaseState::released);
}

TEST_F(StoreFiles, RefusesAKeyThatOthersCanReadAndAnotherKey) {
  { Store store(options()); }
  fs::permissions(directory_ / "secret.key", fs::perms::group_read, fs::perm_options::add);
  EXPECT_THROW(Store{options()}, StoreError);
  fs::permissions(directory_ / "secret.key", fs::perms::owner_read | fs::perms::owner_write);
  std::ofstream(directory_ / "secret.key") << "short";
  EXPECT_THROW(Store{options()}, StoreError);
}

TEST_F(StoreFiles, RefusesADamagedOrANewerDatabase) {
  { Store store(options()); }
  {
    Database database(directory_ / "cloister.db");
    database.script("INSERT INTO schema_steps (step) VALUES (999)");
  }
  EXPECT_THROW(Store{options()}, StoreError);
  fs::remove(directory_ / "cloister.db-wal");
  std::ofstream(directory_ / "cloister.db") << "this is no database, by a long way, and not an empty file either";
  EXPECT_THROW(Store{options()}, StoreError);
}

}  // namespace
}  // namespace cloister::store
