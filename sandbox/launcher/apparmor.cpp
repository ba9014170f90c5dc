#include "sandbox/launcher/apparmor.h"

#include <sys/apparmor.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "policy/model/apparmor.h"
#include "sandbox/base/files.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "apparmor";
constexpr std::size_t kMostProfileBytes = 4U << 20U;

// The kernel's list: a line "name (mode)" for each profile.
Result<std::string> loadedProfiles() {
  char* mount = nullptr;
  if (::aa_find_mountpoint(&mount) != 0) return errnoError(kStage, "find", "securityfs");
  const std::string list = std::string(mount) + "/profiles";
  std::free(mount);
  return files::read(list, kMostProfileBytes);
}

}  // namespace

void AppArmor::Release::operator()(aa_kernel_interface* interface) const {
  ::aa_kernel_interface_unref(interface);
}

Result<std::unique_ptr<AppArmor>> AppArmor::open(const std::string& compiled) {
  if (::aa_is_enabled() != 1) return Error{std::string(kStage), "detect", "", ENOSYS};
  auto blob = files::read(compiled, kMostProfileBytes);
  if (!blob) return blob.error();
  auto profiles = policy::AppArmorTemplate::parse(std::move(*blob), policy::kAppArmorClasses.size());
  if (!profiles) return Error{std::string(kStage), profiles.error().operation, compiled, profiles.error().code};
  aa_kernel_interface* raw = nullptr;
  if (::aa_kernel_interface_new(&raw, nullptr, nullptr) != 0) return errnoError(kStage, "open kernel interface");
  return std::unique_ptr<AppArmor>(new AppArmor(Interface(raw), std::move(*profiles)));
}

Status AppArmor::ensure(TenantIndex tenant) {
  if (loaded_.count(tenant) != 0) return {};
  const std::string profiles = profiles_.forTenant(tenant);
  if (::aa_kernel_interface_replace_policy(interface_.get(), profiles.data(), profiles.size()) != 0) {
    return errnoError(kStage, "load", std::to_string(tenant));
  }
  loaded_.insert(tenant);
  return {};
}

Status AppArmor::remove(TenantIndex tenant) {
  loaded_.erase(tenant);
  for (const auto confinement : policy::kAppArmorClasses) {
    const std::string name = policy::appArmorProfileName(confinement, tenant);
    if (::aa_kernel_interface_remove_policy(interface_.get(), name.c_str()) != 0 && errno != ENOENT) {
      return errnoError(kStage, "unload", name);
    }
  }
  return {};
}

Status AppArmor::removeAll() {
  auto list = loadedProfiles();
  if (!list) return list.error();
  std::set<TenantIndex> tenants;
  for (std::string_view rest = *list; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    const TenantIndex tenant = policy::tenantOfProfile(line.substr(0, line.find(' ')));
    if (tenant != 0) tenants.insert(tenant);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  for (const TenantIndex tenant : tenants) {
    if (auto done = remove(tenant); !done) return done;
  }
  return {};
}

}  // namespace cloister::launcher
