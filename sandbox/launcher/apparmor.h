// AppArmor: keeps each tenant's profiles in the kernel, through libapparmor's kernel interface.
//
// `compiled` is what apparmor_parser wrote at installation from the text that `cloister-launcher --print-profiles`
// prints; a tenant's is made from it by policy::AppArmorTemplate, without a parser. Names in the kernel:
// policy::appArmorProfileName. Profiles stay over a restart of the launcher, because containers do; ensure() then loads
// the tenant's again, in place. Threads: not shared. Failures: open() answers ENOSYS when this kernel has no AppArmor;
// the launcher then starts containers without it and its posture says so. Any other failure, a missing file included,
// is final for the launcher.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "policy/model/apparmor_template.h"
#include "sandbox/base/result.h"

struct aa_kernel_interface;

namespace cloister::launcher {

class AppArmor {
 public:
  [[nodiscard]] static Result<std::unique_ptr<AppArmor>> open(const std::string& compiled);

  // Loads the tenant's profiles unless this process did so before.
  [[nodiscard]] Status ensure(TenantIndex tenant);
  // Unloads them. Precondition: none of the tenant's processes is left, because it would be unconfined from then on.
  [[nodiscard]] Status remove(TenantIndex tenant);
  // Every tenant's, whoever loaded them. Same precondition.
  [[nodiscard]] Status removeAll();

 private:
  struct Release {
    void operator()(aa_kernel_interface* interface) const;
  };
  using Interface = std::unique_ptr<aa_kernel_interface, Release>;
  AppArmor(Interface interface, policy::AppArmorTemplate profiles)
      : interface_(std::move(interface)), profiles_(std::move(profiles)) {}

  Interface interface_;
  policy::AppArmorTemplate profiles_;
  std::set<TenantIndex> loaded_;
};

}  // namespace cloister::launcher
