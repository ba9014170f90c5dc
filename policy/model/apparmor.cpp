#include "policy/model/apparmor.h"

#include <charconv>

#include "policy/model/capabilities.h"

namespace cloister::policy {
namespace {

#include "policy/apparmor.inc"  // generated: constexpr const char* kAppArmorTemplate

std::string className(launcher::Confinement confinement) {
  switch (confinement) {
    case launcher::Confinement::app:
      return "app";
    case launcher::Confinement::build:
      return "build";
    case launcher::Confinement::exec:
      return "exec";
    case launcher::Confinement::freeze:
      return "freeze";
  }
  return "none";
}

void replaceAll(std::string& text, const std::string& mark, const std::string& value) {
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
}

}  // namespace

std::string appArmorProfileName(launcher::Confinement confinement, TenantIndex tenant) {
  return "cloister-" + className(confinement) + tenantSuffix(tenant);
}

TenantIndex tenantOfProfile(std::string_view name) {
  for (const auto confinement : kAppArmorClasses) {
    const std::string start = "cloister-" + className(confinement) + "-t";
    if (!name.starts_with(start) || name.size() != start.size() + kTenantDigits) continue;
    TenantIndex tenant = 0;
    const auto [stop, error] = std::from_chars(name.data() + start.size(), name.data() + name.size(), tenant);
    if (error == std::errc{} && stop == name.data() + name.size() && validTenant(tenant)) return tenant;
  }
  return 0;
}

std::string appArmorProfiles() {
  std::string all;
  for (const auto confinement : kAppArmorClasses) {
    std::string capabilities;
    for (const auto& capability : capabilityList(confinement)) {
      capabilities += "  capability " + std::string(capability.name) + ",\n";
    }
    std::string text = kAppArmorTemplate;
    replaceAll(text, "@CLASS@", className(confinement));
    replaceAll(text, "@CAPABILITIES@\n", capabilities);
    replaceAll(text, "@TENANT@", std::string(kTenantHole));
    all += text;
  }
  return all;
}

}  // namespace cloister::policy
