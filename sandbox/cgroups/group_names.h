// Names of groups below the root: "t<index>" for a tenant, the instance's id below it.
//
// Threads: pure functions. Failures: EINVAL for what is no tenant or no instance id.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"

namespace cloister::cgroups {

[[nodiscard]] std::string tenantName(TenantIndex tenant);
// False for anything that tenantName() does not write.
[[nodiscard]] bool parseTenantName(std::string_view name, TenantIndex& tenant);
[[nodiscard]] Status checkInstance(TenantIndex tenant, const std::string& instance);

}  // namespace cloister::cgroups
