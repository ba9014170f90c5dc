// apparmor_act NAME [PID]: one act that root may do, and that a container's profile must deny. Exits with its errno, 0
// when it went through; 250 for a name that it does not know. Leaves nothing behind: the caller gave it a mount
// namespace.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

int outcome(long result) {
  return result < 0 ? errno : 0;
}

int openFor(const char* path, int flags) {
  return outcome(::open(path, flags | O_CLOEXEC));
}

int writeTo(const char* path, std::string_view text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  return file < 0 ? errno : outcome(::write(file, text.data(), text.size()));
}

int act(std::string_view name, pid_t other) {
  if (name == "none") return 0;
  if (name == "pause") return outcome(::pause());
  if (name == "exec") return outcome(::execl("/bin/true", "true", nullptr));
  if (name == "shadow") return openFor("/etc/shadow", O_RDONLY);
  if (name == "mount") return outcome(::mount("none", "/mnt", "tmpfs", 0, nullptr));
  if (name == "umount") return outcome(::umount2("/proc", MNT_DETACH));
  if (name == "ptrace") return outcome(::ptrace(PTRACE_SEIZE, other, nullptr, nullptr));
  if (name == "signal") return outcome(::kill(other, SIGCONT));
  if (name == "core_pattern") return openFor("/proc/sys/kernel/core_pattern", O_WRONLY);
  if (name == "sysrq") return openFor("/proc/sysrq-trigger", O_WRONLY);
  if (name == "kallsyms") return openFor("/proc/kallsyms", O_RDONLY);
  if (name == "sysfs") return openFor("/sys/kernel/rcu_expedited", O_WRONLY);
  if (name == "raw") return outcome(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  if (name == "packet") return outcome(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (name == "setuid") return outcome(::setuid(1000));
  if (name == "unconfine") return writeTo("/proc/thread-self/attr/apparmor/current", "changeprofile unconfined");
  return 250;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 250;
  return act(argv[1], argc > 2 ? std::atoi(argv[2]) : 0);
}
