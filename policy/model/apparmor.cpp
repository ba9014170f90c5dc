#include "policy/model/apparmor.h"

#include <algorithm>
#include <array>
#include <cctype>

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

struct CapabilityName {
  unsigned number;
  const char* name;
};
// AppArmor's names of all that capabilities.h gives anyone.
constexpr std::array kNames = {CapabilityName{CAP_CHOWN, "chown"},
                               CapabilityName{CAP_DAC_OVERRIDE, "dac_override"},
                               CapabilityName{CAP_DAC_READ_SEARCH, "dac_read_search"},
                               CapabilityName{CAP_FOWNER, "fowner"},
                               CapabilityName{CAP_FSETID, "fsetid"},
                               CapabilityName{CAP_SETGID, "setgid"},
                               CapabilityName{CAP_SETUID, "setuid"},
                               CapabilityName{CAP_KILL, "kill"},
                               CapabilityName{CAP_SYS_CHROOT, "sys_chroot"}};

void replaceAll(std::string& text, const std::string& mark, const std::string& value) {
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
}

}  // namespace

std::string appArmorProfileName(launcher::Confinement confinement) {
  return "cloister-" + className(confinement);
}

std::string appArmorProfile(launcher::Confinement confinement) {
  std::string capabilities;
  for (const unsigned capability : capabilitiesOf(confinement)) {
    const auto known =
        std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.number == capability; });
    if (known != kNames.end()) capabilities += std::string("  capability ") + known->name + ",\n";
  }
  std::string text = kAppArmorTemplate;
  replaceAll(text, "@CLASS@", className(confinement));
  replaceAll(text, "@CAPABILITIES@", capabilities);
  return text;
}

}  // namespace cloister::policy
