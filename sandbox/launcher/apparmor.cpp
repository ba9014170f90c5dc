#include "sandbox/launcher/apparmor.h"

#include <fcntl.h>
#include <sys/apparmor.h>

#include <memory>

#include "policy/model/apparmor.h"
#include "sandbox/base/files.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "apparmor";
constexpr std::size_t kMostProfileBytes = 4U << 20U;

struct KernelInterface {
  void operator()(aa_kernel_interface* interface) const { aa_kernel_interface_unref(interface); }
};

}  // namespace

bool appArmorEnabled() {
  return ::aa_is_enabled() == 1;
}

Status loadAppArmorProfiles(const std::string& directory) {
  aa_kernel_interface* raw = nullptr;
  if (::aa_kernel_interface_new(&raw, nullptr, nullptr) != 0) return errnoError(kStage, "open kernel interface");
  const std::unique_ptr<aa_kernel_interface, KernelInterface> interface(raw);
  for (const auto confinement : {Confinement::app, Confinement::build, Confinement::exec, Confinement::freeze}) {
    const std::string path = directory + "/" + policy::appArmorProfileName(confinement);
    auto profile = files::read(path, kMostProfileBytes);
    if (!profile) return profile.error();
    if (::aa_kernel_interface_replace_policy(interface.get(), profile->data(), profile->size()) != 0) {
      return errnoError(kStage, "load", path);
    }
  }
  return {};
}

}  // namespace cloister::launcher
