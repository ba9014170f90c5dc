// Arena: where a hostile program meets the real launcher, a neighbour of another tenant, and a host that is looked at
// before and after.
//
// The launcher, its network namespace and its groups are LauncherTest's. A
// program from tests/escape/attacks runs as an app (ordinary user), as a build (root of its container) or through exec
// in a running app. What it must say is in attacks/attack.h; that nothing of the host changed meanwhile is asserted for
// every test when it ends.
// Threads: one test at a time. Failures: gtest assertions. A program that finds nothing to attack skips its test.
#pragma once

#include <unistd.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/launcher/harness.h"

namespace cloister::test {

enum class Role { app, build, exec };
inline constexpr Role kRoles[] = {Role::app, Role::build, Role::exec};
inline constexpr Role kLaunched[] = {Role::app, Role::build};
[[nodiscard]] const char* nameOf(Role role);

// What a tenant must not be able to change, by name: kernel settings, files of the host, our binaries. Where the kernel
// lacks one, its value is "absent" before and after.
[[nodiscard]] std::map<std::string, std::string> hostState();

// A program that was started; it ends with its container at the latest.
struct Running {
  std::string instance;  // of the container
  std::string output;    // path
  std::string status;    // path
  UniqueFd pidfd;        // of cloister-init, or of an exec's
  std::optional<sandbox::Container> container;
};

class Arena : public LauncherTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  void putTenant(TenantIndex tenant, launcher::Egress egress = launcher::Egress::none);
  // Below the attack's own layer; for images that are hostile themselves.
  void addLayer(const std::string& name, const std::string& script);
  // "/attack/NAME ARGUMENTS" of the tenant; an exec's container is launched with it.
  [[nodiscard]] launcher::LaunchRequest attackRequest(const std::string& attack, Role role,
                                                      const std::vector<std::string>& arguments = {});
  [[nodiscard]] Running start(const std::string& attack, Role role, const std::vector<std::string>& arguments = {});
  [[nodiscard]] Running startRequest(const launcher::LaunchRequest& request);
  // Another program in the container of `target`.
  [[nodiscard]] Running execIn(const std::string& instance, const std::vector<std::string>& argv,
                               const std::string& directory = "/");
  // Waits for its end. Skips the test when the program says so; expects the exit code 0 and "held".
  void expectHeld(const Running& running);
  // The container of `running` is gone within the launcher's patience, and nothing of it is left.
  void expectRemoved(const Running& running);
  // All of it: start, expectHeld, expectRemoved.
  void attack(const std::string& attack, Role role, const std::vector<std::string>& arguments = {});
  // Waits for a line with `text` in the program's output; a program that ends without it fails the test.
  [[nodiscard]] bool says(const Running& running, const std::string& text, int seconds = 20);

  // Processes of the host that have an id of the tenant's range.
  [[nodiscard]] static std::vector<pid_t> processesOf(TenantIndex tenant);
  // None is left, once those that were killed have gone.
  static void expectNoProcessOf(TenantIndex tenant);
  // What the program `bystander` could still do on the host, and as an app of the neighbour: "fine", or what it lacks.
  void expectBystandersFine();

  // Of this process alone, so that a process with an id of theirs is ours whatever else runs on this machine.
  const TenantIndex attacker_ = 1000 + static_cast<TenantIndex>(::getpid()) % 14'000 * 2;
  const TenantIndex neighbour_ = attacker_ + 1;

 private:
  std::map<std::string, std::string> before_;
  std::vector<std::string> layers_;                  // topmost first
  std::map<std::string, std::string> attackLayers_;  // digests by the attack's name
  int started_ = 0;
};

}  // namespace cloister::test
