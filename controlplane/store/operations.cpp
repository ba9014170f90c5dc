#include "controlplane/store/operations.h"

#include "controlplane/store/store.h"

namespace cloister::store {
namespace {

model::Operation readOperation(const Statement& row) {
  model::Operation operation;
  row.get(0, operation.id);
  row.get(1, operation.tenantId);
  row.get(2, operation.kind);
  row.get(3, operation.subject);
  operation.state = model::operationState(row.text(4)).value_or(model::OperationState::failed);
  row.get(5, operation.progress);
  row.get(6, operation.failure.code);
  row.get(7, operation.failure.detail);
  row.get(8, operation.result);
  row.get(9, operation.createdAt);
  row.get(10, operation.updatedAt);
  row.get(11, operation.notice);
  row.get(12, operation.failure.instance);
  return operation;
}

Rollout readRollout(const Statement& row) {
  return {row.text(0),   row.text(1), row.integer(2), row.integer(3), {row.text(4), row.text(5), row.text(6)},
          row.integer(7)};
}

}  // namespace

model::Operation Operations::create(const std::string& tenantId, const std::string& kind, const std::string& subject,
                                    const std::string& progress) {
  return store_.transact([&] {
    model::Operation operation;
    operation.id = newId("op");
    operation.tenantId = tenantId;
    operation.kind = kind;
    operation.subject = subject;
    operation.progress = progress;
    operation.createdAt = operation.updatedAt = now();
    store_.database().run(
        "INSERT INTO operations (id, tenant_id, kind, subject, state, progress, created_at, updated_at)"
        " VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?6)",
        operation.id, tenantId, kind, subject, progress, operation.createdAt);
    return operation;
  });
}

std::optional<model::Operation> Operations::find(const std::string& id) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, kind, subject, state, progress, failure_code, failure_detail, result, created_at, "
      "updated_at, notice, failure_instance"
      " FROM operations WHERE id = ?1");
  query.bind(id);
  if (!query.step()) return std::nullopt;
  return readOperation(query);
}

model::Operation Operations::get(const std::string& id) const {
  auto operation = find(id);
  if (!operation) throw NotFound("operation", id);
  return *operation;
}

std::vector<model::Operation> Operations::list(const std::string& tenantId, const Page& page) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT id, tenant_id, kind, subject, state, progress, failure_code, failure_detail, result, created_at, "
      "updated_at, notice, failure_instance"
      " FROM operations WHERE (?1 = '' OR tenant_id = ?1) AND (?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3");
  query.bind(tenantId, page.after, page.limit);
  std::vector<model::Operation> operations;
  while (query.step()) operations.push_back(readOperation(query));
  return operations;
}

std::map<model::OperationState, std::int64_t> Operations::countByState() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT state, count(*) FROM operations GROUP BY state");
  std::map<model::OperationState, std::int64_t> counts;
  while (query.step())
    counts[model::operationState(query.text(0)).value_or(model::OperationState::failed)] += query.integer(1);
  return counts;
}

void Operations::setNotice(const std::string& id, const std::string& notice) {
  if (get(id).notice == notice) return;
  store_.transact([&] {
    store_.database().run("UPDATE operations SET notice = ?2, updated_at = ?3 WHERE id = ?1", id, notice, now());
  });
}

void Operations::setProgress(const std::string& id, const std::string& progress) {
  const auto lock = store_.lock();
  auto query = store_.database().prepare("SELECT state, progress FROM operations WHERE id = ?1");
  query.bind(id);
  // Control loops say the same thing every second: only news is worth a commit.
  if (!query.step() || (query.text(0) == "running" && query.text(1) == progress)) return;
  store_.transact([&] {
    store_.database().run(
        "UPDATE operations SET state = 'running', progress = ?2, updated_at = ?3"
        " WHERE id = ?1 AND state IN ('pending', 'running')",
        id, progress, now());
  });
}

void Operations::succeed(const std::string& id, const std::string& result) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE operations SET state = 'succeeded', progress = 'done', result = ?2, updated_at = ?3"
        " WHERE id = ?1 AND state IN ('pending', 'running')",
        id, result, now());
  });
}

void Operations::fail(const std::string& id, const model::Failure& failure) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE operations SET state = 'failed', progress = 'failed', failure_code = ?2, failure_detail = ?3,"
        " updated_at = ?4, failure_instance = ?5 WHERE id = ?1 AND state IN ('pending', 'running')",
        id, failure.code, failure.detail, now(), failure.instance);
  });
}

void Rollouts::begin(const Rollout& rollout) {
  store_.transact([&] {
    store_.database().run(
        "INSERT INTO rollouts (operation_id, app_id, release, previous_release) VALUES (?1, ?2, ?3, ?4)",
        rollout.operationId, rollout.appId, rollout.release, rollout.previousRelease);
  });
}

void Rollouts::goBack(const std::string& operationId, const model::Failure& failure, model::Micros at) {
  store_.transact([&] {
    store_.database().run(
        "UPDATE rollouts SET failure_code = ?2, failure_detail = ?3, failure_instance = ?4, failed_at = ?5"
        " WHERE operation_id = ?1",
        operationId, failure.code, failure.detail, failure.instance, at);
  });
}

void Rollouts::end(const std::string& operationId) {
  store_.transact([&] { store_.database().run("DELETE FROM rollouts WHERE operation_id = ?1", operationId); });
}

std::vector<Rollout> Rollouts::all() const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT operation_id, app_id, release, previous_release, failure_code, failure_detail, failure_instance, "
      "failed_at"
      " FROM rollouts ORDER BY operation_id");
  std::vector<Rollout> rollouts;
  while (query.step()) rollouts.push_back(readRollout(query));
  return rollouts;
}

std::vector<Rollout> Rollouts::ofApp(const std::string& appId) const {
  const auto lock = store_.lock();
  auto query = store_.database().prepare(
      "SELECT operation_id, app_id, release, previous_release, failure_code, failure_detail, failure_instance, "
      "failed_at"
      " FROM rollouts WHERE app_id = ?1 ORDER BY operation_id");
  query.bind(appId);
  std::vector<Rollout> rollouts;
  while (query.step()) rollouts.push_back(readRollout(query));
  return rollouts;
}

}  // namespace cloister::store
