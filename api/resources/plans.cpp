#include "api/body.h"
#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

struct LimitField {
  const char* name;
  std::uint64_t model::PlanLimits::*member;
  bool optional = false;
};
constexpr LimitField kLimits[] = {
    {"memory_bytes", &model::PlanLimits::memoryBytes},
    {"cpu_millis", &model::PlanLimits::cpuMillis},
    {"pids", &model::PlanLimits::pids},
    {"disk_bytes", &model::PlanLimits::diskBytes},
    {"inodes", &model::PlanLimits::inodes},
    {"network_bits_per_second", &model::PlanLimits::networkBitsPerSecond},
    {"instances", &model::PlanLimits::instances},
    {"apps", &model::PlanLimits::apps},
    {"build_memory_bytes", &model::PlanLimits::buildMemoryBytes},
    {"build_disk_bytes", &model::PlanLimits::buildDiskBytes},
    {"build_seconds", &model::PlanLimits::buildSeconds},
    {"memory_high_bytes", &model::PlanLimits::memoryHighBytes, true},
    {"cpu_burst_millis", &model::PlanLimits::cpuBurstMillis, true},
    {"disk_bytes_per_second", &model::PlanLimits::diskBytesPerSecond, true},
    {"disk_operations_per_second", &model::PlanLimits::diskOperationsPerSecond, true},
    {"releases", &model::PlanLimits::releases, true},
    {"image_disk_bytes", &model::PlanLimits::imageDiskBytes, true},
    {"surge_percent", &model::PlanLimits::surgePercent, true},
};

enum class Absent { refused, kept };

void readLimits(Body& body, model::PlanLimits& limits, Absent absent) {
  Body members = body.object("limits");
  for (const auto& field : kLimits) {
    const auto value = members.optionalInteger(field.name);
    if (value) {
      limits.*field.member = static_cast<std::uint64_t>(*value);
    } else if (absent == Absent::refused && !field.optional) {
      const std::string name = std::string("limits.") + field.name;
      throw Problem(400, "missing_field", name + " is required", name);
    }
  }
  members.finish();
  body.finish();
}

Answer show(const model::Plan& plan, int status = 200) {
  Answer answer = answerWith(represent(plan), status);
  answer.headers["ETag"] = etag(plan.revision);
  return answer;
}

Answer create(const Services& services, const Request& request) {
  Body body(request.body);
  const auto name = body.text("name");
  model::PlanLimits limits;
  readLimits(body, limits, Absent::refused);
  Answer answer = show(services.store.plans().create(name, limits), 201);
  answer.headers["Location"] = "/v1/plans/" + name;
  return answer;
}

Answer change(const Services& services, const Request& request) {
  auto plan = services.store.plans().get(request.parameter("plan"));
  request.requireMatch(plan.revision);
  Body body(request.body);
  readLimits(body, plan.limits, Absent::kept);
  return show(services.store.plans().update(plan.name, plan.limits));
}

}  // namespace

void addPlans(Router& router, const Services& services) {
  router.add("GET", "/v1/plans", Access::provider, [services](Request& request) {
    const auto page = pageOf(request);
    return answerPage(
        page, services.store.plans().list(page), [](const model::Plan& plan) { return plan.name; },
        [](const model::Plan& plan) { return represent(plan); });
  });
  router.add("POST", "/v1/plans", Access::provider, [services](Request& request) { return create(services, request); });
  router.add("GET", "/v1/plans/{plan}", Access::provider,
             [services](Request& request) { return show(services.store.plans().get(request.parameter("plan"))); });
  router.add("PATCH", "/v1/plans/{plan}", Access::provider,
             [services](Request& request) { return change(services, request); });
  router.add("DELETE", "/v1/plans/{plan}", Access::provider, [services](Request& request) {
    const auto plan = services.store.plans().get(request.parameter("plan"));
    request.requireMatch(plan.revision);
    services.store.plans().remove(plan.name);
    return Answer{204, "", {}};
  });
}

}  // namespace cloister::api
