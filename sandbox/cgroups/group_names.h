// Names of groups below the root: "t<index>" for a tenant, the instance's id below it, an exec's below that.
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
[[nodiscard]] Status checkExec(TenantIndex tenant, const std::string& instance, const std::string& exec);
[[nodiscard]] std::string execPath(TenantIndex tenant, const std::string& instance, const std::string& exec);

}  // namespace cloister::cgroups
