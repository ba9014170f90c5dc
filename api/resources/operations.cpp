#include <chrono>

#include "api/problem.h"
#include "api/representation.h"
#include "api/resources/resources.h"

namespace cloister::api {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kLongestWait = 60;

bool ended(const model::Operation& operation) {
  return operation.state == model::OperationState::succeeded || operation.state == model::OperationState::failed;
}

Answer show(const Services& services, const Request& request) {
  const auto& id = request.parameter("id");
  const auto wait = request.integer("wait", 0, kLongestWait).value_or(0);
  const auto known = request.query("progress");  // what the caller has shown already
  auto changes = services.store.changes();
  auto operation = services.store.operations().find(id);
  if (!operation || (request.tenant && operation->tenantId != request.tenant->id))
    throw notFound("the operation " + id);
  if (wait == 0 || ended(*operation)) return answerWith(represent(*operation));
  const auto held = services.streams.take(operation->tenantId);
  const auto until = Clock::now() + std::chrono::seconds(wait);
  const auto news = [&] { return ended(*operation) || (known && operation->progress != *known); };
  while (!news() && Clock::now() < until && !services.stopping) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    changes = services.store.waitChange(changes, left + std::chrono::milliseconds(1));
    operation = services.store.operations().find(id);
    if (!operation) throw notFound("the operation " + id);
  }
  return answerWith(represent(*operation));
}

}  // namespace

void addOperations(Router& router, const Services& services) {
  router.add("GET", "/v1/operations", Access::any, [services](Request& request) {
    const auto page = pageOf(request);
    return answerPage(
        page, services.store.operations().list(request.tenant ? request.tenant->id : "", page),
        [](const model::Operation& operation) { return operation.id; },
        [](const model::Operation& operation) { return represent(operation); });
  });
  // A provider needs no ?tenant here: a tenant's removal can be followed after the tenant is gone.
  router.add("GET", "/v1/operations/{id}", Access::any,
             [services](Request& request) { return show(services, request); });
}

}  // namespace cloister::api
