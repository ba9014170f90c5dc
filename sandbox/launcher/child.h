// The forked child's way from a copy of the launcher to cloister-init: the ordered, irreversible steps of confinement.
//
// Each function runs in the single-threaded child only and never returns: it ends in execveat or in an ExecReport and
// _exit. Nothing here decides what is allowed; it carries out values that were compiled before the fork.
// Failures: the first failing step is reported as {stage, operation, path, errno}. A missing filter is a failure.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "sandbox/base/launcher_protocol.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/launcher/stage_clock.h"
#include "sandbox/rootfs/rootfs.h"

namespace cloister::launcher {

// Values and descriptors that both kinds of child need.
struct ChildPlan {
  Confinement confinement = Confinement::app;
  const std::vector<sock_filter>* filter = nullptr;
  std::vector<sock_filter> narrowing;  // beside `filter`, unless otherCalls is open
  OtherCalls otherCalls = OtherCalls::open;
  StageClock* clock = nullptr;  // runContainer only
  std::string appArmorProfile;  // empty: the kernel has no AppArmor
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::string workingDirectory;
  std::uint64_t openFiles = 0;
  Writes writes = Writes::byMode;
  std::vector<std::string> writable;
  uid_t owner = 0;  // exec: of the container's user namespace
  TerminalSize terminal;
  std::vector<int> standard;  // stdin, stdout, stderr, status, and for a freeze the output; with a terminal the status
  int handover = -1;          // where the exec's pidfd and the terminal's leader go, as kPidfd and kLeader
  int init = -1;              // cloister-init's image
  int report = -1;            // write end of the ExecReport pipe
  int proceed = -1;           // runContainer: one byte a step of the launcher's, kMapped and then kLinked
  std::vector<int> groups;    // Tree::joinFiles
  std::vector<int> sources;   // runContainer only: of LiveSource, -1 where there is none
  std::vector<int> live;      // set by runContainer: views and sources, as cloister-init finds them
};

inline constexpr char kPidfd = 'p';
inline constexpr char kLeader = 't';
inline constexpr char kMapped = 'm';
inline constexpr char kLinked = 'l';  // the outer end of the network is there, if there is to be one

[[noreturn]] void runContainer(ChildPlan& plan, rootfs::Tree& tree, TenantIndex tenant);
// `target`: pidfd of the container's init. The process that execs is a sibling (CLONE_PARENT) born in the target's pid
// namespace.
[[noreturn]] void runExec(ChildPlan& plan, int target);

}  // namespace cloister::launcher
