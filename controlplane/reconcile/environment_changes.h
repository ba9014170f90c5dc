// Changes of an app's config or secrets: which are allowed, and the environment that they make of another.
//
// Threads: inside a transaction of the store. Failures: store::Invalid and store::Conflict with the variable's name as
// field; store::StoreError.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "controlplane/store/store.h"

namespace cloister::reconcile {

// By name; nullopt unsets.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;
enum class Variables { config, secrets };
[[nodiscard]] const char* name(Variables variables);  // "config", "secret"

// Invalid for a name that is no [A-Za-z_][A-Za-z0-9_]*, is PORT, or begins with CLOISTER_; Conflict "name_is_secret" or
// "name_is_config" for one that the other side has. A secret that is set to what it is stays as it is sealed, so equal
// environments compare as equal.
[[nodiscard]] store::Environment changed(store::Store& store, store::Environment environment, Variables variables,
                                         const EnvironmentChanges& changes);
// "config set A, B; unset C"
[[nodiscard]] std::string describe(Variables variables, const EnvironmentChanges& changes);

}  // namespace cloister::reconcile
