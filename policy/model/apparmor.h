// AppArmor profiles as text: one a confinement class and tenant, from policy/profiles/apparmor.template.
//
// The text is compiled once, for a tenant that does not exist; apparmor_template.h makes it a tenant's. Threads and
// failures: pure functions.
#pragma once

#include <array>
#include <string>

#include "policy/model/apparmor_template.h"
#include "sandbox/base/launcher_protocol.h"

namespace cloister::policy {

inline constexpr std::array kAppArmorClasses = {launcher::Confinement::app, launcher::Confinement::build,
                                                launcher::Confinement::exec, launcher::Confinement::freeze};

// "cloister-app-t00042"
[[nodiscard]] std::string appArmorProfileName(launcher::Confinement confinement, TenantIndex tenant);
// The tenant of such a name, 0 when it is none.
[[nodiscard]] TenantIndex tenantOfProfile(std::string_view name);
// The input of apparmor_parser: the profiles of all classes, with kTenantHole for the tenant.
[[nodiscard]] std::string appArmorProfiles();

}  // namespace cloister::policy
