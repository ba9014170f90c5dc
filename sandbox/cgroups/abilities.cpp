// Which optional control files this kernel has, asked of our own root groups, whose children have the same.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sandbox/cgroups/mounted_tree.h"

namespace cloister::cgroups {
namespace {

using launcher::DescriptorKind;

struct Wanted {
  const char* name;
  DescriptorKind controller;  // on v1; `unified`: the version 2 tree has it beside v1 too
  const char* unified;
  const char* legacy;
  const char* unifiedNote;  // how it falls short of its name
  const char* legacyNote;
};
constexpr std::array kWanted = {
    Wanted{"cpu-weight", DescriptorKind::cpu, "cpu.weight", "cpu.shares", "", ""},
    Wanted{"cpu-burst", DescriptorKind::cpu, "cpu.max.burst", "cpu.cfs_burst_us", "", ""},
    Wanted{"memory-soft", DescriptorKind::memory, "memory.high", "memory.soft_limit_in_bytes", "",
           "reclaimed first when the host is short, not slowed"},
    Wanted{"memory-swap", DescriptorKind::memory, "memory.swap.max", "memory.memsw.limit_in_bytes", "", ""},
    Wanted{"disk-rate", DescriptorKind::blkio, "io.max", "blkio.throttle.read_bps_device", "",
           "for each instance alone, not for the tenant's sum"},
    Wanted{"disk-weight", DescriptorKind::blkio, "io.weight", "",
           "counts where io.cost or the BFQ scheduler runs on the disk", ""},
    Wanted{"pressure", DescriptorKind::unified, "memory.pressure", "memory.pressure", "", ""},
    Wanted{"freeze", DescriptorKind::unified, "cgroup.freeze", "cgroup.freeze", "", ""},
    Wanted{"kill", DescriptorKind::unified, "cgroup.kill", "cgroup.kill", "", ""},
};

}  // namespace

std::vector<Ability> MountedTree::abilities() const {
  std::vector<Ability> found;
  for (const Wanted& wanted : kWanted) {
    const bool legacy = layout_ == Layout::hybrid && wanted.controller != DescriptorKind::unified;
    const DescriptorKind kind = legacy ? wanted.controller : DescriptorKind::unified;
    const std::string file = legacy ? wanted.legacy : wanted.unified;
    const std::string note = legacy ? wanted.legacyNote : wanted.unifiedNote;
    const auto hierarchy = std::find_if(hierarchies_.begin(), hierarchies_.end(), [kind](const Hierarchy& one) {
      return std::find(one.kinds.begin(), one.kinds.end(), kind) != one.kinds.end();
    });
    Ability ability{wanted.name, false, file};
    ability.there = hierarchy != hierarchies_.end() && !file.empty() &&
                    ::faccessat(hierarchy->root.get(), file.c_str(), F_OK, 0) == 0;
    if (!ability.there) {
      ability.how =
          "the kernel has no " + std::string(wanted.unified) + (legacy ? " beside version 1 controllers" : "");
    } else if (wanted.controller == DescriptorKind::blkio && devices_.empty()) {
      ability = {wanted.name, false, "the layer store lies on no block device"};
    } else if (!note.empty()) {
      ability.how += ": " + note;
    }
    found.push_back(std::move(ability));
  }
  return found;
}

}  // namespace cloister::cgroups
