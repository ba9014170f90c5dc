// Attacks on the kernel's interfaces: each program tries them in every role, and must get nothing.
#include <linux/capability.h>
#include <sys/xattr.h>

#include <filesystem>

#include "tests/escape/arena.h"

namespace cloister::test {
namespace {

class Kernel : public Arena, public ::testing::WithParamInterface<const char*> {};

TEST_P(Kernel, GivesNothing) {
  for (const Role role : kRoles) {
    SCOPED_TRACE(nameOf(role));
    attack(GetParam(), role);
  }
}

INSTANTIATE_TEST_SUITE_P(Attacks, Kernel,
                         ::testing::Values("nested_namespaces", "mount_api", "release_agent", "core_pattern",
                                           "modprobe_path", "uevent_helper", "binfmt_misc", "kernel_settings",
                                           "kernel_machinery", "host_control", "keyrings", "file_handles",
                                           "foreign_abi", "high_halves"),
                         [](const auto& instance) { return std::string(instance.param); });

class Image : public Arena {
 protected:
  void attackInEveryRole(const std::string& name) {
    for (const Role role : kRoles) {
      SCOPED_TRACE(nameOf(role));
      attack(name, role);
    }
  }
};

TEST_F(Image, SetUserIdAndFileCapabilitiesGiveNothing) {
  const std::string capable = path("capable");
  std::filesystem::copy_file(CLOISTER_ATTACKS "setuid_file", capable);
  vfs_cap_data all{};
  all.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  for (auto& half : all.data) half.permitted = ~0U;
  ASSERT_EQ(::setxattr(capable.c_str(), "security.capability", &all, sizeof all, 0), 0);
  addLayer("privileged", "mkdir -p $ROOT/attack; mv " + capable +
                             " $ROOT/attack/; cp " CLOISTER_ATTACKS
                             "setuid_file $ROOT/attack/set-user-id; chown 4242:4242 $ROOT/attack/set-user-id; "
                             "chmod 6755 $ROOT/attack/set-user-id");
  attackInEveryRole("setuid_file");
}

TEST_F(Image, DeviceNodesDoNotOpen) {
  addLayer("nodes",
           "mkdir -p $ROOT/attack/nodes; cd $ROOT/attack/nodes; mknod mem c 1 1; mknod kmsg c 1 11; mknod full c 1 7; "
           "mknod loop b 7 0; mknod loop-control c 10 237; mknod disk b 254 0; mknod tun c 10 200; chmod 666 *");
  attackInEveryRole("device_nodes");
}

// The class of CVE-2025-31133: what stands behind the masks comes from the launcher, never from the image.
TEST_F(Image, ItsOwnNullDeviceMasksNothing) {
  addLayer("null",
           "mkdir -p $ROOT/dev; ln -s /proc/sys/kernel/core_pattern $ROOT/dev/null; mkdir $ROOT/dev/shm; "
           "ln -s /proc/sysrq-trigger $ROOT/dev/zero");
  attackInEveryRole("masked_paths");
}

// The class of CVE-2025-52565: a console, terminals and their multiplexer that the image made links of.
TEST_F(Image, ItsOwnConsoleIsNobodysTerminal) {
  addLayer("console",
           "mkdir -p $ROOT/dev; for f in console ptmx tty; do ln -s /proc/sys/kernel/core_pattern "
           "$ROOT/dev/$f; done; ln -s /proc/sys/kernel $ROOT/dev/pts");
  attackInEveryRole("masked_paths");
  attackInEveryRole("kernel_settings");
}

// The class of CVE-2025-52881: a /proc full of files that look like the real ones.
TEST_F(Image, ItsOwnProcIsHidden) {
  addLayer("proc",
           "mkdir -p $ROOT/proc/self/attr/apparmor $ROOT/proc/thread-self/attr/apparmor $ROOT/proc/sys/kernel; "
           "for d in self thread-self; do for f in exec current apparmor/exec; do ln -s "
           "/proc/sys/kernel/core_pattern $ROOT/proc/$d/attr/$f; done; done; "
           "ln -s /sys/kernel/uevent_helper $ROOT/proc/sys/kernel/core_pattern; touch $ROOT/proc/kcore");
  attackInEveryRole("procfs_redirect");
}

}  // namespace
}  // namespace cloister::test
