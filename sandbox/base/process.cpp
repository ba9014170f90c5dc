#include "sandbox/base/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <sstream>
#include <string>

#include "sandbox/base/files.h"

namespace cloister::process {
namespace {

constexpr std::string_view kStage = "process";

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (const auto& text : strings) list.push_back(const_cast<char*>(text.c_str()));
  list.push_back(nullptr);
  return list;
}

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

Result<UniqueFd> newMemory(std::string_view name) {
  UniqueFd memory(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return errnoError(kStage, "memfd_create", name);
  return memory;
}

Status seal(int memory, std::string_view name) {
  if (::fcntl(memory, F_ADD_SEALS, kSeals) != 0) return errnoError(kStage, "seal", name);
  return {};
}

}  // namespace

Result<Child> cloneProcess(std::uint64_t flags, int cgroup) {
  int pidfd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  // A sibling (CLONE_PARENT) inherits the exit signal of its creator and must not name one.
  args.exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<unsigned>(cgroup);
  }
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) return errnoError(kStage, "clone3");
  Child child;
  child.pid = static_cast<pid_t>(pid);
  if (pid > 0) child.pidfd.reset(pidfd);
  return child;
}

Result<Child> cloneProcessFor(uid_t owner, std::uint64_t flags, int cgroup) {
  const uid_t own = ::geteuid();
  // The raw call: glibc's would stop other threads, of which there are none.
  if (::syscall(SYS_setresuid, -1, owner, -1) != 0) return errnoError(kStage, "setresuid", std::to_string(owner));
  auto child = cloneProcess(flags | CLONE_NEWUSER, cgroup);
  if (child && child->pid == 0) return child;
  if (::syscall(SYS_setresuid, -1, own, -1) != 0) return errnoError(kStage, "setresuid", std::to_string(own));
  return child;
}

Status keepCapabilitiesOverIdentity() {
  if (::prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0) return errnoError(kStage, "securebits");
  return {};
}

Result<UniqueFd> openPidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return errnoError(kStage, "pidfd_open", std::to_string(pid));
  return UniqueFd(static_cast<int>(fd));
}

Status sendSignal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) return errnoError(kStage, "pidfd_send_signal");
  return {};
}

Status enterNamespaces(int pidfd, int flags) {
  if (::setns(pidfd, flags) != 0) return errnoError(kStage, "setns");
  return {};
}

Status closeFrom(int first) {
  if (::close_range(static_cast<unsigned>(first), ~0U, 0) != 0) return errnoError(kStage, "close_range");
  return {};
}

Status executeDescriptor(int file, const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  auto arguments = pointers(argv);
  auto variables = pointers(environment);
  ::syscall(SYS_execveat, file, "", arguments.data(), variables.data(), AT_EMPTY_PATH);
  return errnoError(kStage, "execveat", argv.empty() ? "" : argv.front());
}

Status setCapabilities(std::span<const unsigned> keep) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errnoError(kStage, "clear ambient");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (const unsigned capability : keep) {
    data.at(capability / 32).permitted |= 1U << (capability % 32);
    data.at(capability / 32).effective |= 1U << (capability % 32);
  }
  if (::syscall(SYS_capset, &header, data.data()) != 0) return errnoError(kStage, "capset");
  return {};
}

Status boundCapabilities(std::span<const unsigned> keep) {
  for (unsigned capability = 0;; ++capability) {
    if (std::find(keep.begin(), keep.end(), capability) != keep.end()) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    const int code = errno;
    if (code == EINVAL) return {};                                     // the kernel has no more
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0) continue;  // who may not drop it may not have it either
    return Error{std::string(kStage), "drop bounding capability", std::to_string(capability), code};
  }
}

Status newSessionKeyring() {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr, 0, 0, 0) < 0 && errno != ENOSYS) {
    return errnoError(kStage, "keyctl");
  }
  return {};
}

Status installFilter(const void* program, std::size_t instructions) {
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(instructions);
  filter.filter = static_cast<sock_filter*>(const_cast<void*>(program));
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) return errnoError(kStage, "seccomp");
  return {};
}

Result<UniqueFd> installAnsweredFilter(const void* program, std::size_t instructions) {
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(instructions);
  filter.filter = static_cast<sock_filter*>(const_cast<void*>(program));
  // A call that is being answered ends for a fatal signal only: a runtime that interrupts its threads all the time
  // (Go's preemption) would otherwise have each call handed over again and again.
  constexpr unsigned long kFlags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  const long fd = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, kFlags, &filter);
  if (fd < 0) return errnoError(kStage, "seccomp");
  return UniqueFd(static_cast<int>(fd));
}

Status keepCoresApart() {
  constexpr unsigned long kThreadGroup = 1;  // PIDTYPE_TGID
  if (::prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, kThreadGroup, 0) == 0) return {};
  if (errno == EINVAL || errno == ENODEV) return {};
  return errnoError(kStage, "core scheduling");
}

Result<std::uint64_t> coreCookie(pid_t pid) {
  unsigned long cookie = 0;
  if (::prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, pid, 0, &cookie) != 0) return errnoError(kStage, "core scheduling");
  return cookie;
}

Status startOwnClock() {
  if (::access("/proc/self/ns/time_for_children", F_OK) != 0) return {};
  if (::unshare(CLONE_NEWTIME) != 0) return errnoError(kStage, "unshare", "time");
  std::string offsets;
  for (const auto& [name, clock] : {std::pair{"monotonic", CLOCK_MONOTONIC}, {"boottime", CLOCK_BOOTTIME}}) {
    timespec now{};
    ::clock_gettime(clock, &now);
    offsets += std::string(name) + " -" + std::to_string(now.tv_sec) + " 0\n";
  }
  // An undumpable process's files in /proc are the host root's, also to itself.
  const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return errnoError(kStage, "dumpable");
  auto done = files::writeControl("/proc/self/timens_offsets", offsets);
  if (::prctl(PR_SET_DUMPABLE, dumpable == 1 ? 1 : 0, 0, 0, 0) != 0) return errnoError(kStage, "dumpable");
  if (!done) return done;
  auto own = files::openAt(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY);
  if (!own) return own.error();
  if (::setns(own->get(), CLONE_NEWTIME) != 0) return errnoError(kStage, "setns", "time");
  return {};
}

Result<UniqueFd> sealedCopy(std::string_view path, std::string_view name) {
  auto source = files::openAt(AT_FDCWD, path, O_RDONLY);
  if (!source) return source.error();
  struct stat info {};
  if (::fstat(source->get(), &info) != 0) return errnoError(kStage, "fstat", path);
  auto copy = newMemory(name);
  if (!copy) return copy;
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t sent = ::sendfile(copy->get(), source->get(), nullptr, static_cast<std::size_t>(left));
    if (sent <= 0) return errnoError(kStage, "sendfile", path);
    left -= sent;
  }
  if (::fchmod(copy->get(), 0555) != 0) return errnoError(kStage, "fchmod", path);
  if (auto done = seal(copy->get(), name); !done) return done.error();
  return copy;
}

Result<UniqueFd> sealedMemory(std::string_view bytes, std::string_view name) {
  auto memory = newMemory(name);
  if (!memory) return memory;
  if (auto done = files::writeAll(memory->get(), bytes); !done) return done.error();
  if (auto done = seal(memory->get(), name); !done) return done.error();
  return memory;
}

Result<std::string> readSealed(int file, std::size_t limit) {
  const int seals = ::fcntl(file, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return Error{std::string(kStage), "seals", "", EINVAL};
  struct stat info {};
  if (::fstat(file, &info) != 0) return errnoError(kStage, "fstat", "sealed memory");
  if (info.st_size < 0 || static_cast<std::uint64_t>(info.st_size) > limit) {
    return Error{std::string(kStage), "read", "sealed memory", EFBIG};
  }
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  for (std::size_t got = 0; got < bytes.size();) {
    const ssize_t count = ::pread(file, bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
    if (count <= 0) return errnoError(kStage, "read", "sealed memory");
    got += static_cast<std::size_t>(count);
  }
  return bytes;
}

Status limitResources(std::initializer_list<ResourceLimit> limits) {
  for (const auto& [resource, most] : limits) {
    rlimit limit{most, most};
    if (::prlimit(0, static_cast<__rlimit_resource>(resource), &limit, nullptr) == 0) continue;
    rlimit present{};
    if (errno != EPERM || ::prlimit(0, static_cast<__rlimit_resource>(resource), nullptr, &present) != 0) {
      return errnoError(kStage, "prlimit", std::to_string(resource));
    }
    limit.rlim_cur = limit.rlim_max = std::min<rlim_t>(most, present.rlim_max);
    if (::prlimit(0, static_cast<__rlimit_resource>(resource), &limit, nullptr) != 0) {
      return errnoError(kStage, "prlimit", std::to_string(resource));
    }
  }
  return {};
}

std::string procPath(pid_t pid, std::string_view entry) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(entry);
}

Result<std::uint64_t> startNanos(pid_t pid) {
  constexpr int kAfterName = 20;  // field 22 of proc(5); the name, which may have any bytes, is the second
  const auto path = procPath(pid, "stat");
  const auto stat = files::read(path);
  if (!stat) return stat.error();
  std::istringstream fields(stat->substr(std::min(stat->rfind(')'), stat->size() - 1) + 1));
  std::string field;
  for (int i = 0; i < kAfterName; ++i) fields >> field;
  std::uint64_t ticks = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), ticks);
  if (!fields || error != std::errc{}) return Error{std::string(kStage), "parse", path, EPROTO};
  return (ticks + 1) * (1'000'000'000U / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

bool isNamespaceInit(pid_t pid) {
  const auto status = files::read(procPath(pid, "status"));
  if (!status) return false;
  const auto line = status->find("\nNSpid:");
  if (line == std::string::npos) return false;
  const auto end = status->find('\n', line + 1);
  const auto last = status->rfind('\t', end);
  // One number only: the process is in our own namespace, not in a container's.
  const auto first = status->find('\t', line);
  return last != first && status->substr(last + 1, end - last - 1) == "1";
}

}  // namespace cloister::process
