#include "controlplane/store/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "controlplane/store/quotas.h"
#include "tests/unit/controlplane/store/store_fixture.h"

namespace cloister::store {
namespace {

using namespace std::chrono_literals;

TEST_F(StoreTest, RefusesBadPlansAndTenantsByName) {
  struct Case {
    const char* name;
    const char* code;
  };
  for (const auto& [name, code] :
       {Case{"", "invalid_field"}, Case{"Demo", "invalid_field"}, Case{"-a", "invalid_field"},
        Case{"a.b", "invalid_field"}, Case{"a\nb", "invalid_field"}, Case{"demo", "name_taken"}, Case{"fine", ""}}) {
    EXPECT_EQ(codeOf([&] { store_.tenants().create(name, "small"); }), code) << name;
  }
  EXPECT_EQ(codeOf([&] { store_.tenants().create("other", "huge"); }), "plan_not_found");
  auto limits = smallLimits();
  limits.pids = 0;
  EXPECT_EQ(codeOf([&] { store_.plans().create("zero", limits); }), "invalid_field");
  EXPECT_EQ(codeOf([&] { store_.plans().create("small", smallLimits()); }), "name_taken");
  EXPECT_EQ(codeOf([&] { store_.plans().remove("small"); }), "plan_in_use");
  EXPECT_EQ(codeOf([&] { (void)store_.tenants().get("nobody"); }), "tenant_not_found");
}

TEST_F(StoreTest, NeverGivesATenantIndexTwice) {
  std::set<std::uint32_t> seen{tenant_.index};
  for (int i = 0; i < 5; ++i) {
    const auto next = store_.tenants().create("again", "small");
    EXPECT_TRUE(seen.insert(next.index).second);
    store_.tenants().erase(next.id);
  }
  store_.database().script("UPDATE counters SET value = 29999 WHERE name = 'tenant'");
  EXPECT_EQ(store_.tenants().create("last", "small").index, 30'000U);
  EXPECT_EQ(codeOf([&] { store_.tenants().create("toomany", "small"); }), "tenants_exhausted");
}

TEST_F(StoreTest, UpdatesOnlyWhatTheCallerHasSeen) {
  auto limits = smallLimits();
  limits.apps = 9;
  limits.diskOperationsPerSecond = 0;
  EXPECT_EQ(store_.plans().get("small").limits, smallLimits());
  const auto plan = store_.plans().update("small", limits, 1);
  EXPECT_EQ(plan.revision, 2);
  EXPECT_EQ(codeOf([&] { store_.plans().update("small", limits, 1); }), "revision_mismatch");
  EXPECT_EQ(store_.plans().get("small").limits, limits);
}

TEST_F(StoreTest, CountsAppsAgainstThePlan) {
  store_.apps().create(tenant_.id, "one");
  EXPECT_EQ(codeOf([&] { store_.apps().create(tenant_.id, "one"); }), "name_taken");
  store_.apps().create(tenant_.id, "two");
  try {
    store_.apps().create(tenant_.id, "three");
    FAIL();
  } catch (const QuotaExceeded& quota) {
    EXPECT_EQ(quota.limit(), "apps");
    EXPECT_EQ(quota.asked(), 1U);
    EXPECT_EQ(quota.available(), 0U);
    EXPECT_STREQ(quota.what(), ("apps: 1 asked, 0 left of plan " + tenant_.plan).c_str());
  }
  store_.tenants().setState(tenant_.id, model::TenantState::suspended);
  EXPECT_EQ(codeOf([&] { store_.apps().create(tenant_.id, "four"); }), "tenant_not_active");
}

TEST_F(StoreTest, AdmitsInstancesWithinThePlanOnly) {
  withApp();
  const auto first = admit(300ULL << 20U);
  EXPECT_TRUE(ownsAddress(tenant_.index, first.instance.address));
  try {
    admit(300ULL << 20U);
    FAIL();
  } catch (const QuotaExceeded& quota) {
    EXPECT_EQ(quota.limit(), "memoryBytes");
    EXPECT_EQ(quota.available(), 212ULL << 20U);
    EXPECT_STREQ(quota.what(), ("memory: 300 MiB asked, 212 MiB left of plan " + tenant_.plan).c_str());
  }
  EXPECT_EQ(store_.instances().ofApp(app_.id).size(), 1U) << "a refusal leaves nothing";
  const auto second = admit(1);
  EXPECT_NE(second.instance.address, first.instance.address);
  EXPECT_EQ(codeOf([&] { admit(1); }), "quota_exceeded");
  store_.instances().erase(first.instance.id);
  const auto third = admit(1);
  EXPECT_NE(third.instance.address, first.instance.address) << "an address rests before it is given again";
  EXPECT_EQ(store_.instances().use(tenant_.id).instances, 2U);
}

TEST_F(StoreTest, GivesEveryAddressOfTheSubnetOnce) {
  std::set<Ipv4> seen;
  for (int i = 0; i < 253; ++i) {
    const auto address = store_.addresses().allocate("nd-1", 5, "in-" + std::to_string(i));
    EXPECT_TRUE(ownsAddress(5, address));
    EXPECT_TRUE(seen.insert(address).second);
  }
  EXPECT_EQ(codeOf([&] { store_.addresses().allocate("nd-1", 5, "in-x"); }), "addresses_exhausted");
  EXPECT_NO_THROW(store_.addresses().allocate("nd-1", 6, "in-y"));
  EXPECT_NO_THROW(store_.addresses().allocate("nd-2", 5, "in-z"));
  store_.addresses().release("in-7");
  EXPECT_EQ(codeOf([&] { store_.addresses().allocate("nd-1", 5, "in-x"); }), "addresses_exhausted") << "it rests";
  store_.database().script("UPDATE addresses SET released_at = released_at - 11000000 WHERE owner = 'in-7'");
  EXPECT_NO_THROW(store_.addresses().allocate("nd-1", 5, "in-x"));
}

TEST_F(StoreTest, ATransactionThatThrowsLeavesNothingAndWakesNobody) {
  const auto revision = store_.revision();
  const auto changes = store_.changes();
  EXPECT_THROW(store_.transact([&] {
    store_.tenants().create("half", "small");
    throw std::runtime_error("midway");
  }),
               std::runtime_error);
  EXPECT_FALSE(store_.tenants().find("half"));
  EXPECT_EQ(store_.revision(), revision);
  EXPECT_EQ(store_.changes(), changes);
  store_.transact([&] { (void)store_.tenants().list(); });
  EXPECT_EQ(store_.changes(), changes) << "reading is no change";
  store_.transact([&] {
    store_.bumpRevision();
    EXPECT_EQ(store_.bumpRevision(), revision + 1) << "once a transaction";
  });
  EXPECT_EQ(store_.revision(), revision + 1);
}

TEST_F(StoreTest, WakesWhoWaitsForTheRevision) {
  const auto before = store_.revision();
  EXPECT_EQ(store_.waitRevision(before, 1ms), before) << "time is over";
  std::atomic<std::int64_t> seen{0};
  std::thread waiter([&] { seen = store_.waitRevision(before, 10s); });
  store_.bumpRevision();
  waiter.join();
  EXPECT_EQ(seen, before + 1);
  std::thread closing([&] { (void)store_.waitRevision(before + 100, 10s); });
  store_.wakeAll();
  closing.join();
}

TEST_F(StoreTest, KeepsTokensAsHashes) {
  const auto made = store_.tokens().create("laptop", model::Scope::tenant, tenant_.id);
  EXPECT_TRUE(made.secret.starts_with("clst_"));
  EXPECT_GE(made.secret.size(), 37U);
  const auto found = store_.tokens().authenticate(made.secret);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->tenantId, tenant_.id);
  EXPECT_GT(found->lastUsedAt, 0);
  EXPECT_FALSE(store_.tokens().authenticate(made.secret + "x"));
  EXPECT_FALSE(store_.tokens().authenticate(""));
  auto query = store_.database().prepare("SELECT hash FROM tokens");
  ASSERT_TRUE(query.step());
  EXPECT_EQ(query.text(0), sha256(made.secret));
  store_.tokens().revoke(made.token.id);
  EXPECT_FALSE(store_.tokens().authenticate(made.secret));
  const std::string file = "clst_0123456789012345678901234567890123";
  const auto admin = store_.tokens().adopt("admin", model::Scope::provider, file);
  EXPECT_EQ(store_.tokens().adopt("admin", model::Scope::provider, file).id, admin.id);
  EXPECT_EQ(codeOf([&] { store_.tokens().create("x", model::Scope::tenant); }), "invalid_field");
}

TEST_F(StoreTest, SealsSecrets) {
  withApp();
  Environment environment;
  environment.secrets["KEY"] = store_.environments().seal("top secret \n");
  environment.secrets["EMPTY"] = store_.environments().seal("");
  store_.environments().setInitial(app_.id, environment);
  EXPECT_EQ(store_.environments().values(app_.id, 0),
            (std::map<std::string, std::string>{{"KEY", "top secret \n"}, {"EMPTY", ""}}));
  auto query = store_.database().prepare("SELECT sealed FROM secrets WHERE name = 'KEY'");
  ASSERT_TRUE(query.step());
  auto sealed = query.text(0);
  EXPECT_EQ(sealed.find("top"), std::string::npos);
  EXPECT_NE(store_.seal("a"), store_.seal("a"));
  sealed.back() = sealed.back() == '0' ? '1' : '0';
  EXPECT_THROW((void)store_.unseal(sealed), StoreError);
  EXPECT_THROW((void)store_.unseal("zz"), StoreError);
}

TEST_F(StoreTest, AReleaseHasItsOwnSecretsForAsLongAsItIsKept) {
  withApp();
  const auto release = [&](const char* value) {
    model::Release made;
    made.appId = app_.id;
    made.config = {{"A", value}};
    return store_.releases().create(made, {{"KEY", store_.environments().seal(value)}}).version;
  };
  const auto first = release("1");
  const auto second = release("2");
  EXPECT_EQ(store_.environments().values(app_.id, first),
            (std::map<std::string, std::string>{{"A", "1"}, {"KEY", "1"}}));
  EXPECT_EQ(store_.environments().values(app_.id, second).at("KEY"), "2");
  EXPECT_EQ(codeOf([&] { (void)store_.environments().get(app_.id, 9); }), "release_not_found");
  store_.database().run("DELETE FROM releases WHERE app_id = ?1 AND version = ?2", app_.id, first);
  auto left = store_.database().prepare("SELECT COUNT(*) FROM release_secrets");
  ASSERT_TRUE(left.step());
  EXPECT_EQ(left.integer(0), 1);
}

TEST_F(StoreTest, TakesOnlyRealHostNamesAsDomains) {
  withApp();
  for (const char* host :
       {"", "localhost", "a..b", ".a.b", "a.b.", "10.0.0.1", "a b.c", "a.b:80", "*.a.b", "a.b/c", "a#0.b"}) {
    EXPECT_EQ(codeOf([&] { store_.domains().add(host, app_.id); }), "invalid_field") << host;
  }
  EXPECT_EQ(store_.domains().add("WWW.Example.com", app_.id).host, "www.example.com");
  EXPECT_EQ(codeOf([&] { store_.domains().add("www.example.com", app_.id); }), "domain_taken");
  EXPECT_EQ(codeOf([&] { store_.domains().remove("ap-other", "www.example.com"); }), "domain_not_found");
}

TEST_F(StoreTest, ANameOfAnotherTenantIsAnsweredLikeOneThatNobodyMayHave) {
  withApp();
  store_.domains().add("www.example.com", app_.id);
  const auto other = store_.tenants().create("other", "small");
  const auto app = store_.apps().create(other.id, "theirs");
  try {
    store_.domains().add("www.example.com", app.id);
    FAIL() << "it was added";
  } catch (const Refusal& refusal) {
    const auto same = domainUnavailable("www.example.com");
    EXPECT_EQ(refusal.code(), same.code());
    EXPECT_EQ(refusal.kind(), same.kind());
    EXPECT_STREQ(refusal.what(), same.what());
  }
}

TEST_F(StoreTest, DomainsTokensAndKeysHaveAQuota) {
  withApp();
  for (std::int64_t i = 0; i < kTenantQuotas.domains; ++i) {
    store_.domains().add("a" + std::to_string(i) + ".example.com", app_.id);
  }
  EXPECT_EQ(codeOf([&] { store_.domains().add("one.example.com", app_.id); }), "quota_exceeded");
  const auto token = store_.tokens().create("first", model::Scope::tenant, tenant_.id).token;
  for (std::int64_t i = 1; i < kTenantQuotas.tokens; ++i) {
    store_.tokens().create("t", model::Scope::tenant, tenant_.id);
  }
  EXPECT_EQ(codeOf([&] { store_.tokens().create("t", model::Scope::tenant, tenant_.id); }), "quota_exceeded");
  store_.tokens().revoke(store_.tokens().list(tenant_.id).back().id);
  EXPECT_EQ(codeOf([&] { store_.tokens().create("t", model::Scope::tenant, tenant_.id); }), "");
  auto keys = store_.idempotencyKeys();
  store_.transact([&] {
    for (std::int64_t i = 0; i < kTenantQuotas.idempotencyKeys; ++i) keys.begin(token.id, std::to_string(i), "f");
  });
  EXPECT_EQ(codeOf([&] { keys.begin(token.id, "more", "f"); }), "quota_exceeded");
  EXPECT_EQ(codeOf([&] { keys.begin(token.id, "1", "f"); }), "idempotency_in_progress") << "one that is known";
  keys.dropBefore(now() + 1);
  EXPECT_EQ(codeOf([&] { keys.begin(token.id, "more", "f"); }), "");
  keys.finish(token.id, "more", {200, std::string(static_cast<std::size_t>(kTenantQuotas.idempotencyBytes), 'x')});
  EXPECT_EQ(codeOf([&] { keys.begin(token.id, "again", "f"); }), "quota_exceeded");
}

TEST_F(StoreTest, RecordsAreCutAndPrunedATenant) {
  const auto other = store_.tenants().create("other", "small");
  const std::string letters = "\xc3\xa4";
  std::string path = "GET /";
  while (path.size() < 7'000) path += letters;
  store_.transact([&] {
    for (std::int64_t i = 0; i < kTenantQuotas.refusedAuditEntries + 10; ++i) {
      store_.audit().append({0, 0, "tk", tenant_.id, path, path, 404});
    }
    store_.audit().append({0, 0, "tk", tenant_.id, "POST /v1/apps", "", 201});
    store_.audit().append({0, 0, "tk", other.id, "POST /v1/apps", "", 404});
    for (std::int64_t i = 0; i < kTenantQuotas.events + 10; ++i) store_.events().append(tenant_.id, "", "kind", path);
  });
  const auto cut = store_.audit().list(tenant_.id, {"", 3}).back().action;
  EXPECT_LE(cut.size(), 515U);
  EXPECT_TRUE(cut.ends_with(letters + "...")) << cut;
  EXPECT_GE(Quotas(store_).prune(), 20);
  const auto kept = store_.audit().list(tenant_.id, {"", 1'000'000});
  EXPECT_EQ(kept.size(), static_cast<std::size_t>(kTenantQuotas.refusedAuditEntries) + 1);
  EXPECT_EQ(kept.front().status, 201);
  EXPECT_EQ(store_.audit().list(other.id).size(), 1U);
  EXPECT_EQ(store_.events().list(tenant_.id, "", {"", 1'000'000}).size(),
            static_cast<std::size_t>(kTenantQuotas.events));
  EXPECT_EQ(Quotas(store_).prune(), 0);
}

TEST_F(StoreTest, AnswersARepeatedRequestLikeTheFirst) {
  auto keys = store_.idempotencyKeys();
  EXPECT_FALSE(keys.begin("tk", "k1", "POST /a {}"));
  EXPECT_EQ(codeOf([&] { keys.begin("tk", "k1", "POST /a {}"); }), "idempotency_in_progress");
  keys.finish("tk", "k1", {201, "{\"id\":1}"});
  const auto again = keys.begin("tk", "k1", "POST /a {}");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->status, 201);
  EXPECT_EQ(again->body, "{\"id\":1}");
  EXPECT_EQ(codeOf([&] { keys.begin("tk", "k1", "POST /b {}"); }), "idempotency_key_reused");
  EXPECT_FALSE(keys.begin("tk2", "k1", "POST /b {}")) << "another token's key";
  EXPECT_FALSE(keys.begin("tk", "k2", "x"));
  keys.abandon("tk", "k2");
  EXPECT_FALSE(keys.begin("tk", "k2", "y"));
  keys.abandonAll();
  EXPECT_FALSE(keys.begin("tk", "k2", "z")) << "the process that had it is no more";
  EXPECT_TRUE(keys.begin("tk", "k1", "POST /a {}")) << "one that was answered stays";
}

TEST_F(StoreTest, PagesThroughLists) {
  for (int i = 0; i < 5; ++i) store_.events().append(tenant_.id, "hello", "kind", std::to_string(i));
  const auto last = store_.events().lastId();
  const auto since = store_.events().since(last - 2, tenant_.id, "", 10);
  ASSERT_EQ(since.size(), 2U);
  EXPECT_EQ(since[1].text, "4");
  const auto newest = store_.events().list(tenant_.id, "", {"", 2});
  ASSERT_EQ(newest.size(), 2U);
  EXPECT_EQ(newest[0].text, "4");
  const auto next = store_.events().list(tenant_.id, "", {std::to_string(newest[1].id), 2});
  EXPECT_EQ(next[0].text, "2");
  store_.tenants().create("alpha", "small");
  const auto page = store_.tenants().list({"alpha", 10});
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].name, "demo");
}

TEST_F(StoreTest, EndedOperationsStayAsTheyAre) {
  const auto operation = store_.operations().create(tenant_.id, "deploy", "app/hello", "queued");
  store_.operations().fail(operation.id, {"build_failed", "exit 1"});
  store_.operations().succeed(operation.id, "v1");
  store_.operations().setProgress(operation.id, "still at it");
  const auto ended = store_.operations().get(operation.id);
  EXPECT_EQ(ended.state, model::OperationState::failed);
  EXPECT_EQ(ended.failure.code, "build_failed");
}

TEST(Ids, SortByTimeAndAreFitForCgroupNames) {
  std::string last;
  for (int i = 0; i < 100; ++i) {
    const auto id = newId("in");
    EXPECT_TRUE(validInstanceId(id + "-12345"));
    EXPECT_LE(id.size(), 22U);
    EXPECT_LE(last.substr(0, 14), id.substr(0, 14));
    last = id;
  }
}

}  // namespace
}  // namespace cloister::store
