#include "sandbox/cgroups/group_names.h"

#include <cerrno>
#include <charconv>

#include "sandbox/cgroups/control_files.h"

namespace cloister::cgroups {

std::string tenantName(TenantIndex tenant) {
  return "t" + std::to_string(tenant);
}

bool parseTenantName(std::string_view name, TenantIndex& tenant) {
  if (name.size() < 2 || name.front() != 't' || name[1] == '0') return false;
  name.remove_prefix(1);
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), tenant);
  return error == std::errc{} && end == name.data() + name.size() && validTenant(tenant);
}

Status checkInstance(TenantIndex tenant, const std::string& instance) {
  if (!validTenant(tenant)) return failure("check the tenant", tenantName(tenant), EINVAL);
  if (!validInstanceId(instance)) return failure("check the instance's id", tenantName(tenant), EINVAL);
  return {};
}

Status checkExec(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  if (auto checked = checkInstance(tenant, instance); !checked) return checked;
  if (!validInstanceId(exec)) return failure("check the exec's id", tenantName(tenant) + "/" + instance, EINVAL);
  return {};
}

std::string execPath(TenantIndex tenant, const std::string& instance, const std::string& exec) {
  return tenantName(tenant) + "/" + instance + "/" + exec;
}

}  // namespace cloister::cgroups
