#include "sandbox/launcher/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "policy/model/budgets.h"
#include "policy/model/capabilities.h"
#include "policy/model/landlock.h"
#include "sandbox/base/exec_report.h"
#include "sandbox/base/files.h"
#include "sandbox/base/landlock.h"
#include "sandbox/base/live_views.h"
#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/base/streams.h"
#include "sandbox/launcher/report_pipe.h"
#include "sandbox/network/inner_end.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "confine";
constexpr int kHighDescriptor = 64;  // working descriptors move above this before the fixed ones are set
// NOROOT and NO_SETUID_FIXUP with their locks: for a process that never holds a capability, uid 0 means nothing either.
constexpr unsigned long kNoRootBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                      SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                      SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

[[noreturn]] void fail(int report, const Error& error) {
  sendReport(report, error);
  ::_exit(127);
}

void require(const ChildPlan& plan, const Status& done) {
  if (!done) fail(plan.report, done.error());
}

// Anything but `step`, end-of-file too: the launcher is gone.
Status await(int pipe, char step) {
  char came = 0;
  ssize_t got = -1;
  do {
    got = ::read(pipe, &came, 1);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errnoError(kStage, "read", "proceed");
  if (got == 0 || came != step) return Error{std::string(kStage), "wait", "launcher", EPIPE};
  return {};
}

// Before anything else, so that all the rest is counted for the container.
Status joinGroups(const std::vector<int>& groups) {
  for (const int tasks : groups) {
    if (auto wrote = files::writeAll(tasks, "0"); !wrote) return Error{"join", "write", "tasks", wrote.error().code};
  }
  return {};
}

Status becomeContainerRoot() {
  if (::setresgid(0, 0, 0) != 0) return errnoError(kStage, "setresgid", "0");
  if (::setresuid(0, 0, 0) != 0) return errnoError(kStage, "setresuid", "0");
  if (::setgroups(0, nullptr) != 0) return errnoError(kStage, "setgroups");
  return {};
}

Status moveHigh(int& fd) {
  if (fd < 0) return {};
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, kHighDescriptor);
  if (high < 0) return errnoError(kStage, "dup");
  fd = high;
  return {};
}

Status hand(const ChildPlan& plan, char what, int descriptor) {
  return seqpacket::send(plan.handover, {&what, 1}, std::span<const int>(&descriptor, 1));
}

// In the container's own devpts, so that the terminal has a name there: its user's, as a login would have made it.
// Precondition: root of the container, who may give files away.
Status openTerminal(ChildPlan& plan) {
  auto terminal = streams::openTerminalOf("/dev/pts/ptmx", plan.terminal.rows, plan.terminal.columns);
  if (!terminal) return terminal.error();
  const int follower = terminal->follower.release();
  if (::fchown(follower, kAppUid, static_cast<gid_t>(-1)) != 0) return errnoError(kStage, "fchown", "terminal");
  plan.standard.insert(plan.standard.begin(), {follower, follower, follower});
  return hand(plan, kLeader, terminal->leader.get());
}

// 0-2 and the fixed numbers of exec_report.h; everything else is closed.
Status arrangeDescriptors(ChildPlan& plan) {
  for (int& fd : plan.standard) {
    if (auto done = moveHigh(fd); !done) return done;
  }
  if (auto done = moveHigh(plan.report); !done) return done;
  if (auto done = moveHigh(plan.init); !done) return done;
  for (int& fd : plan.live) {
    if (auto done = moveHigh(fd); !done) return done;
  }
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(plan.standard.at(static_cast<std::size_t>(fd)), fd) < 0) return errnoError(kStage, "dup2", "standard");
  }
  if (plan.standard.size() > 4) {
    if (::dup2(plan.standard.at(4), kOutputDescriptor) < 0) return errnoError(kStage, "dup2", "output");
  } else {
    ::close(kOutputDescriptor);
  }
  if (::dup2(plan.standard.at(3), kStatusDescriptor) < 0) return errnoError(kStage, "dup2", "status");
  if (::dup2(plan.report, kReportDescriptor) < 0) return errnoError(kStage, "dup2", "report");
  if (::dup3(plan.init, kInitDescriptor, O_CLOEXEC) < 0) return errnoError(kStage, "dup2", "init");
  plan.report = kReportDescriptor;
  plan.init = kInitDescriptor;
  if (plan.live.empty()) return process::closeFrom(kAnswerDescriptor);
  ::close(kAnswerDescriptor);
  int next = kFirstLiveDescriptor;
  for (const int fd : plan.live) {
    if (fd < 0) {
      ::close(next);
    } else if (::dup2(fd, next) < 0) {
      return errnoError(kStage, "dup2", "live");
    }
    ++next;
  }
  return process::closeFrom(next);
}

Status limitResources(const ChildPlan& plan) {
  using Budget = policy::ContainerBudget;
  return process::limitResources({{RLIMIT_NOFILE, plan.openFiles},
                                  {RLIMIT_CORE, Budget::kCoreBytes},
                                  {RLIMIT_MEMLOCK, Budget::kPinnedBytes},
                                  {RLIMIT_MSGQUEUE, Budget::kMessageQueueBytes},
                                  {RLIMIT_SIGPENDING, Budget::kPendingSignals}});
}

Status restrictFiles(const ChildPlan& plan) {
  if (landlock::abi() == 0) return {};  // posture says so
  const auto rules = policy::landlockRules(plan.confinement, landlock::abi(), plan.writes, plan.writable);
  auto ruleset = landlock::createRuleset(rules.handled);
  if (!ruleset) return ruleset.error();
  for (const auto& rule : rules.paths) {
    auto path = files::openAt(AT_FDCWD, rule.path, O_PATH);
    if (!path && path.error().code == ENOENT && rule.missing == policy::Missing::passOver) continue;
    if (!path) return path.error();
    if (auto done = landlock::addPathBeneath(ruleset->get(), path->get(), rule.access); !done) return done;
  }
  // The node's FIFOs lie in no tree of the container, yet programs open them again as /dev/stdout. A pipe or socket
  // without a path (EBADFD) is none of Landlock's business.
  for (int fd = 0; fd <= kOutputDescriptor; ++fd) {
    auto done = landlock::addPathBeneath(ruleset->get(), fd, policy::kLandlockReopen & rules.handled);
    if (!done && done.error().code != EBADFD && done.error().code != EBADF) return done;
  }
  return landlock::restrictSelf(ruleset->get());
}

Status dropPrivileges(Confinement confinement) {
  const auto keep = policy::capabilitiesOf(confinement);
  if (auto done = process::boundCapabilities(keep); !done) return done;
  if (confinement == Confinement::app || confinement == Confinement::exec) {
    if (::setresgid(kAppUid, kAppUid, kAppUid) != 0) return errnoError(kStage, "setresgid", "app");
    if (::setgroups(0, nullptr) != 0) return errnoError(kStage, "setgroups");
    if (::prctl(PR_SET_SECUREBITS, kNoRootBits, 0, 0, 0) != 0) return errnoError(kStage, "securebits");
    // NO_SETUID_FIXUP keeps the capabilities over this; setCapabilities below takes them.
    if (::setresuid(kAppUid, kAppUid, kAppUid) != 0) return errnoError(kStage, "setresuid", "app");
  }
  return process::setCapabilities(keep);
}

// The current directory must lie inside the container, whatever was inherited (the class of CVE-2024-21626).
Status enterDirectory(const std::string& path) {
  if (::chdir(path.c_str()) != 0) return errnoError(kStage, "chdir", path);
  std::array<char, 4096> actual{};
  if (::getcwd(actual.data(), actual.size()) == nullptr || actual.front() != '/') {
    return Error{std::string(kStage), "getcwd", path, EXDEV};
  }
  return {};
}

const char* nameOf(OtherCalls calls) {
  switch (calls) {
    case OtherCalls::open:
      break;
    case OtherCalls::report:
      return kReportCalls;
    case OtherCalls::refuse:
      return kRefuseCalls;
  }
  return kOpenCalls;
}

[[noreturn]] void confineAndExec(ChildPlan& plan) {
  if (plan.filter == nullptr || plan.filter->empty())
    fail(plan.report, Error{std::string(kStage), "filter", "", ENOENT});
  UniqueFd appArmor;
  if (!plan.appArmorProfile.empty()) {
    auto attribute = files::openAt(AT_FDCWD, "/proc/thread-self/attr/apparmor/exec", O_WRONLY);
    if (!attribute) fail(plan.report, attribute.error());
    require(plan, files::writeAll(attribute->get(), "exec " + plan.appArmorProfile));
  }
  if (plan.terminal.wanted()) require(plan, openTerminal(plan));
  if (::setsid() < 0 && errno != EPERM) fail(plan.report, errnoError(kStage, "setsid"));
  require(plan, limitResources(plan));
  require(plan, process::keepCoresApart());
  ::umask(022);
  require(plan, arrangeDescriptors(plan));
  require(plan, enterDirectory(plan.workingDirectory));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(plan.report, errnoError(kStage, "no_new_privs"));
  require(plan, restrictFiles(plan));
  require(plan, dropPrivileges(plan.confinement));
  std::vector<std::string> argv = {"cloister-init", plan.terminal.wanted() ? "terminal" : "app",
                                   nameOf(plan.otherCalls)};
  argv.insert(argv.end(), plan.argv.begin(), plan.argv.end());
  // A process can have one listener. The class closes seccomp(2), so what narrows it comes first.
  const bool narrowed = plan.otherCalls != OtherCalls::open;
  const auto& listened = narrowed ? plan.narrowing : *plan.filter;
  auto answers = process::installAnsweredFilter(listened.data(), listened.size());
  if (!answers) fail(plan.report, answers.error());
  // It comes close-on-exec, and perhaps in its place already.
  if (answers->get() != kAnswerDescriptor && ::dup2(answers->get(), kAnswerDescriptor) < 0) {
    fail(plan.report, errnoError(kStage, "dup2", "answers"));
  }
  if (::fcntl(kAnswerDescriptor, F_SETFD, 0) != 0) fail(plan.report, errnoError(kStage, "fcntl", "answers"));
  if (narrowed) require(plan, process::installFilter(plan.filter->data(), plan.filter->size()));
  if (plan.clock != nullptr) plan.clock->mark(LaunchStage::confined);
  fail(plan.report, process::executeDescriptor(plan.init, argv, plan.environment).error());
}

}  // namespace

void runContainer(ChildPlan& plan, rootfs::Tree& tree, TenantIndex tenant) {
  require(plan, joinGroups(plan.groups));
  plan.clock->mark(LaunchStage::joined);
  require(plan, await(plan.proceed, kMapped));
  // Still as the host's root, whose key budget is no tenant's.
  require(plan, process::newSessionKeyring());
  require(plan, becomeContainerRoot());
  require(plan, process::startOwnClock());
  auto network = network::InnerEnd::prepare(tree.address);
  if (!network) fail(plan.report, network.error());
  require(plan, rootfs::enter(tree));
  for (const auto& view : tree.live) plan.live.push_back(view.get());
  plan.live.insert(plan.live.end(), plan.sources.begin(), plan.sources.end());
  plan.clock->mark(LaunchStage::tree);
  require(plan, await(plan.proceed, kLinked));
  require(plan, network->configure(gatewayOf(tenant)));
  plan.clock->mark(LaunchStage::linked);
  // Only now is the current group the container's own, so only now does a new namespace hide everything above it.
  if (::unshare(CLONE_NEWCGROUP) != 0) fail(plan.report, errnoError(kStage, "unshare", "cgroup"));
  confineAndExec(plan);
}

void runExec(ChildPlan& plan, int target) {
  require(plan, joinGroups(plan.groups));
  require(plan, process::newSessionKeyring());
  constexpr int kAll =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  // Who enters must be able to do all in the user namespace; its owner is.
  if (::setresuid(static_cast<uid_t>(-1), plan.owner, static_cast<uid_t>(-1)) != 0) {
    fail(plan.report, errnoError(kStage, "setresuid", "owner"));
  }
  const int clock = ::access("/proc/self/ns/time", F_OK) == 0 ? CLONE_NEWTIME : 0;
  require(plan, process::enterNamespaces(target, kAll | clock));
  auto born = process::cloneProcess(CLONE_PARENT, -1);
  if (!born) fail(plan.report, born.error());
  if (born->pid > 0) {
    require(plan, hand(plan, kPidfd, born->pidfd.get()));
    ::_exit(0);
  }
  require(plan, becomeContainerRoot());
  confineAndExec(plan);
}

}  // namespace cloister::launcher
