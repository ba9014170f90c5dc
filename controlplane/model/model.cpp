#include "controlplane/model/model.h"

#include <array>
#include <cstddef>

namespace cloister::model {
namespace {

// Names in the order of the enumerators.
constexpr std::array kTenantStates = {"active", "suspended", "deleting"};
constexpr std::array kBuildStates = {"queued", "running", "succeeded", "failed", "cancelled"};
constexpr std::array kReleaseStates = {"rolling_out", "released", "refused", "superseded"};
constexpr std::array kCallModes = {"off", "learn", "grace", "enforce"};
constexpr std::array kDesiredStates = {"run", "stop"};
constexpr std::array kInstanceStates = {"pending", "starting", "running", "unhealthy",
                                        "crashed", "draining", "stopped"};
constexpr std::array kNodeStates = {"ready", "cordoned", "draining", "down"};
constexpr std::array kOperationStates = {"pending", "running", "succeeded", "failed"};
constexpr std::array kScopes = {"provider", "tenant", "node"};

template <std::size_t N, typename E>
const char* nameIn(const std::array<const char*, N>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "unknown";
}

template <typename E, std::size_t N>
std::optional<E> valueIn(const std::array<const char*, N>& names, const std::string& text) {
  for (std::size_t i = 0; i < N; ++i) {
    if (text == names[i]) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace

const char* name(TenantState value) {
  return nameIn(kTenantStates, value);
}
const char* name(BuildState value) {
  return nameIn(kBuildStates, value);
}
const char* name(ReleaseState value) {
  return nameIn(kReleaseStates, value);
}
const char* name(CallMode value) {
  return nameIn(kCallModes, value);
}
const char* name(DesiredState value) {
  return nameIn(kDesiredStates, value);
}
const char* name(InstanceState value) {
  return nameIn(kInstanceStates, value);
}
const char* name(NodeState value) {
  return nameIn(kNodeStates, value);
}
const char* name(OperationState value) {
  return nameIn(kOperationStates, value);
}
const char* name(Scope value) {
  return nameIn(kScopes, value);
}

std::optional<TenantState> tenantState(const std::string& text) {
  return valueIn<TenantState>(kTenantStates, text);
}
std::optional<BuildState> buildState(const std::string& text) {
  return valueIn<BuildState>(kBuildStates, text);
}
std::optional<ReleaseState> releaseState(const std::string& text) {
  return valueIn<ReleaseState>(kReleaseStates, text);
}
std::optional<CallMode> callMode(const std::string& text) {
  return valueIn<CallMode>(kCallModes, text);
}
std::optional<DesiredState> desiredState(const std::string& text) {
  return valueIn<DesiredState>(kDesiredStates, text);
}
std::optional<InstanceState> instanceState(const std::string& text) {
  return valueIn<InstanceState>(kInstanceStates, text);
}
std::optional<NodeState> nodeState(const std::string& text) {
  return valueIn<NodeState>(kNodeStates, text);
}
std::optional<OperationState> operationState(const std::string& text) {
  return valueIn<OperationState>(kOperationStates, text);
}
std::optional<Scope> scope(const std::string& text) {
  return valueIn<Scope>(kScopes, text);
}

}  // namespace cloister::model
