// Representation: the model's values as the API shows them (openapi.yaml, components/schemas), and pages of them.
//
// Threads: pure, but for what is named. Failures: pages throw Problem 400 for a bad limit or cursor.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "api/request.h"
#include "controlplane/model/model.h"
#include "controlplane/model/node_protocol.h"
#include "controlplane/store/instances.h"
#include "controlplane/store/page.h"

namespace cloister::api {

using Json = Poco::JSON::Object::Ptr;

[[nodiscard]] Json newObject();
[[nodiscard]] std::string text(const Json& object);

[[nodiscard]] Json represent(const model::PlanLimits& limits);
[[nodiscard]] Json represent(const model::Plan& plan);
[[nodiscard]] Json represent(const model::Tenant& tenant);
[[nodiscard]] Json represent(const model::Token& token, const std::string& tenantName);
[[nodiscard]] Json represent(const model::Node& node, std::int64_t instances, const std::vector<model::NodeKey>& keys);
[[nodiscard]] Json represent(const model::NodeKey& key);
[[nodiscard]] Json represent(const model::Operation& operation);
[[nodiscard]] Json represent(const model::Build& build, const std::string& app);
[[nodiscard]] Json represent(const model::Release& release, const model::App& app, std::uint64_t imageBytes);
[[nodiscard]] Json represent(const model::Instance& instance, const std::string& app, const std::string& node);
[[nodiscard]] Json represent(const model::LogLine& line);
[[nodiscard]] Json represent(const model::AuditEntry& entry, const std::string& tenantName);
[[nodiscard]] Json represent(const model::Event& event, const std::string& tenantName);
[[nodiscard]] Json represent(const model::PostureCheck& check, const std::string& node);
[[nodiscard]] Json represent(const model::Failure& failure);
template <typename T>
[[nodiscard]] Json represent(const std::map<std::string, T>& map) {
  auto out = newObject();
  for (const auto& [key, value] : map) out->set(key, value);
  return out;
}

// "empty", "starting", "running" ...: what an owner asks first. `wanted` is the sum over the formation's processes that
// the current release has.
[[nodiscard]] std::string appStatus(const model::App& app, const model::Tenant& tenant, std::int64_t wanted,
                                    const std::vector<model::Instance>& instances);

[[nodiscard]] Answer answerWith(const Json& object, int status = 200);
[[nodiscard]] Answer answerList(const std::vector<Json>& items, const std::string& next = {});

// limit and cursor of the request as a Page that asks for one row more than is shown.
[[nodiscard]] store::Page pageOf(const Request& request);
[[nodiscard]] std::string cursorOf(const std::string& key);

// A page of `rows` (fetched with pageOf): `key` gives the store's page key of a row.
template <typename T, typename Key, typename Show>
[[nodiscard]] Answer answerPage(const store::Page& page, const std::vector<T>& rows, Key key, Show show) {
  std::vector<Json> items;
  std::string next;
  for (const auto& row : rows) {
    if (items.size() + 1 == page.limit) {
      next = cursorOf(key(rows[items.size() - 1]));
      break;
    }
    items.push_back(show(row));
  }
  return answerList(items, next);
}

}  // namespace cloister::api
