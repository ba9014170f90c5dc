// What tests of the store share: a plan, a tenant of it, an app and a node, in memory.
#pragma once

#include <gtest/gtest.h>

#include "controlplane/store/store.h"

namespace cloister::store {

inline model::PlanLimits smallLimits() {
  model::PlanLimits limits;
  limits.memoryBytes = 512ULL << 20U;
  limits.cpuMillis = 1000;
  limits.pids = 100;
  limits.diskBytes = 1ULL << 30U;
  limits.inodes = 100'000;
  limits.instances = 2;
  limits.apps = 2;
  limits.buildMemoryBytes = 512ULL << 20U;
  limits.buildDiskBytes = 1ULL << 30U;
  limits.buildSeconds = 600;
  limits.memoryHighBytes = 400ULL << 20U;
  limits.cpuBurstMillis = 500;
  limits.diskBytesPerSecond = 50'000'000;
  limits.diskOperationsPerSecond = 200;
  return limits;
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    store_.plans().create("small", smallLimits());
    tenant_ = store_.tenants().create("demo", "small");
  }
  InstanceRecord admit(std::uint64_t memory) {
    InstanceRecord record;
    record.instance.tenantId = tenant_.id;
    record.instance.appId = app_.id;
    record.instance.release = 1;
    record.instance.process = "web";
    record.instance.nodeId = node_.id;
    record.limits.memoryBytes = memory;
    record.limits.diskBytes = 1;
    return store_.instances().admit(record);
  }
  void withApp() {
    app_ = store_.apps().create(tenant_.id, "hello");
    node_ = store_.nodes().ensure("one");
  }

  Store store_{{":memory:", ""}};
  model::Tenant tenant_;
  model::App app_;
  model::Node node_;
};

template <typename F>
std::string codeOf(F&& action) {
  try {
    action();
  } catch (const Refusal& refusal) {
    return refusal.code();
  }
  return "";
}

}  // namespace cloister::store
