// cloister-launcher: the only privileged process of Cloister. See sandbox/base/launcher_protocol.h for what it does.
//
// Takes its whole configuration from flags, because whoever starts it is trusted and whoever talks to it is not.
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/model/apparmor.h"
#include "policy/model/budgets.h"
#include "policy/model/capabilities.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/files.h"
#include "sandbox/base/own_confinement.h"
#include "sandbox/base/ownership.h"
#include "sandbox/base/process.h"
#include "sandbox/launcher/apparmor.h"
#include "sandbox/launcher/server.h"

namespace {

using cloister::Status;

constexpr const char* kUsage =
    R"(cloister-launcher: starts and stops tenants' containers for cloister-node; runs as root.

  --socket PATH       listen here (default RUN/launcher.sock)
  --allow-uid N       the user who may connect, besides root (default 0)
  --allow-gid N       group of the socket (default 0)
  --run DIR           run files (default /run/cloister)
  --store DIR         verified layer images (default /var/lib/cloister/launcher/layers)
  --uppers KIND       where containers write: memory, disk, or auto: memory where the kernel can (default auto)
  --pool FILE         an empty ext4 image for uppers on disk, as deploy/upper-pool.sh makes it (default: none)
  --cgroup-root NAME  our group in every hierarchy (default cloister)
  --init PATH         cloister-init (default: beside this program)
  --apparmor FILE     compiled AppArmor profiles of tenants (required where the kernel has AppArmor)
  --print-profiles    print what apparmor_parser compiles into that file, and exit
  --purge             end every container, remove groups, links, tables and run files, and exit
  --help
)";

struct Options {
  std::string socket;
  uid_t allowedUser = 0;
  gid_t allowedGroup = 0;
  std::string run = "/run/cloister";
  std::string store = "/var/lib/cloister/launcher/layers";
  cloister::rootfs::Uppers::Wanted uppers = cloister::rootfs::Uppers::Wanted::automatic;
  std::string pool;
  std::string cgroupRoot = "cloister";
  std::string init;
  std::string appArmor;
  bool purge = false;
};

int complain(const cloister::Error& error) {
  std::fprintf(stderr, "cloister-launcher: %s\n", error.message().c_str());
  return 1;
}

bool parseNumber(const char* text, std::uint32_t& number) {
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  return error == std::errc{} && stop == end;
}

bool parseKind(const std::string& text, cloister::rootfs::Uppers::Wanted& wanted) {
  using Wanted = cloister::rootfs::Uppers::Wanted;
  for (const auto& [name, kind] :
       {std::pair{"auto", Wanted::automatic}, {"memory", Wanted::memory}, {"disk", Wanted::disk}}) {
    if (text != name) continue;
    wanted = kind;
    return true;
  }
  return false;
}

std::string besideThisProgram(const char* name) {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string self(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return self.substr(0, self.rfind('/') + 1) + name;
}

// What the verbs need, and nothing else: not even root's other powers are left for a flaw to use. A host may have given
// less.
Status confine() {
  std::vector<unsigned> keep;
  for (const unsigned capability : cloister::policy::launcherCapabilities()) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) keep.push_back(capability);
  }
  using Budget = cloister::policy::TenantBudget;
  if (auto done = cloister::process::limitResources({{RLIMIT_SIGPENDING, Budget::kPendingSignals},
                                                     {RLIMIT_MSGQUEUE, Budget::kMessageQueueBytes},
                                                     {RLIMIT_MEMLOCK, Budget::kPinnedBytes}});
      !done) {
    return done;
  }
  if (auto done = cloister::process::keepCapabilitiesOverIdentity(); !done) return done;
  auto filter = cloister::policy::compile(cloister::policy::profileFor(cloister::policy::OwnProcess::launcher));
  if (!filter) return filter.error();
  return cloister::process::confineSelf(keep, *filter);
}

Status purge(cloister::launcher::Containers& containers, cloister::cgroups::Tree& groups,
             cloister::rootfs::Uppers& uppers, cloister::launcher::AppArmor* profiles, const Options& options) {
  auto found = groups.scan();
  if (!found) return found.error();
  for (const auto& [tenant, instance] : *found) {
    if (auto killed = groups.kill(tenant, instance); !killed) return killed;
    (void)cloister::launcher::finish(containers.remove(instance));  // what it could not do, the next line reports
    if (auto removed = groups.removeInstance(tenant, instance, 5'000); !removed) return removed;
  }
  if (auto done = uppers.close(); !done) return done;
  if (auto done = groups.removeAll(); !done) return done;
  if (profiles != nullptr) {
    if (auto done = profiles->removeAll(); !done) return done;
  }
  if (auto done = cloister::network::Network::removeAll(); !done) return done;
  ::rmdir((options.run + "/containers").c_str());
  ::rmdir((options.run + "/mnt").c_str());
  ::unlink(options.socket.c_str());
  return {};
}

int serve(const Options& options) {
  using namespace cloister;
  auto groups = cgroups::Tree::open(options.cgroupRoot, options.store);
  if (!groups) return complain(groups.error());
  auto layers = rootfs::Layers::open(options.store, options.run, options.allowedGroup);
  if (!layers) return complain(layers.error());
  auto uppers = rootfs::Uppers::open({(*layers)->mnt(), options.pool, options.uppers});
  if (!uppers) return complain(uppers.error());
  auto network = network::Network::open();
  if (!network) return complain(network.error());
  auto init = process::sealedCopy(options.init, "cloister-init");
  if (!init) return complain(init.error());

  auto appArmor = launcher::AppArmor::open(options.appArmor);
  if (!appArmor && appArmor.error().code != ENOSYS) return complain(appArmor.error());
  launcher::AppArmor* const profiles = appArmor ? appArmor->get() : nullptr;
  auto views = rootfs::KernelViews::open("/proc");
  if (!views) return complain(views.error());
  auto containers = launcher::Containers::create({.groups = groups->get(),
                                                  .network = network->get(),
                                                  .layers = layers->get(),
                                                  .uppers = uppers->get(),
                                                  .views = std::move(*views),
                                                  .init = std::move(*init),
                                                  .records = options.run + "/containers",
                                                  .appArmor = profiles});
  if (!containers) return complain(containers.error());
  if (options.purge) {
    const Status done = purge(**containers, **groups, **uppers, profiles, options);
    return done ? 0 : complain(done.error());
  }
  auto listener = seqpacket::listen(options.socket, 0660);
  if (!listener) return complain(listener.error());
  if (::chown(options.socket.c_str(), 0, options.allowedGroup) != 0) {
    return complain(errnoError("launcher", "chown", options.socket));
  }
  // Opened while the right to is there; without AppArmor nothing in the log is a tenant's.
  std::optional<launcher::Denials> denials;
  if (profiles != nullptr) {
    if (auto log = launcher::Denials::open()) denials = std::move(*log);
  }
  if (auto done = confine(); !done) return complain(done.error());
  if (auto done = (*uppers)->startDeleting(); !done) return complain(done.error());
  launcher::Server server(std::move(*listener), {.containers = containers->get(),
                                                 .groups = groups->get(),
                                                 .network = network->get(),
                                                 .layers = layers->get(),
                                                 .appArmor = profiles,
                                                 .denials = std::move(denials),
                                                 .posture = launcher::Posture::detect(
                                                     **groups, **uppers, appArmor ? Status() : appArmor.error()),
                                                 .allowed = options.allowedUser});
  std::printf("cloister-launcher: ready on %s\n", options.socket.c_str());
  std::fflush(stdout);
  const Status done = server.run();
  return done ? 0 : complain(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  enum Flag { socket = 1, user, group, run, store, uppers, pool, cgroupRoot, init, appArmor, profiles, purgeAll, help };
  const std::array<option, 14> flags = {{{"socket", required_argument, nullptr, socket},
                                         {"allow-uid", required_argument, nullptr, user},
                                         {"allow-gid", required_argument, nullptr, group},
                                         {"run", required_argument, nullptr, run},
                                         {"store", required_argument, nullptr, store},
                                         {"uppers", required_argument, nullptr, uppers},
                                         {"pool", required_argument, nullptr, pool},
                                         {"cgroup-root", required_argument, nullptr, cgroupRoot},
                                         {"init", required_argument, nullptr, init},
                                         {"apparmor", required_argument, nullptr, appArmor},
                                         {"print-profiles", no_argument, nullptr, profiles},
                                         {"purge", no_argument, nullptr, purgeAll},
                                         {"help", no_argument, nullptr, help},
                                         {nullptr, 0, nullptr, 0}}};
  for (int flag = 0; (flag = ::getopt_long(argc, argv, "", flags.data(), nullptr)) != -1;) {
    switch (flag) {
      case socket:
        options.socket = optarg;
        break;
      case user:
        if (!parseNumber(optarg, options.allowedUser))
          return std::fputs("cloister-launcher: --allow-uid: no number\n", stderr), 2;
        break;
      case group:
        if (!parseNumber(optarg, options.allowedGroup))
          return std::fputs("cloister-launcher: --allow-gid: no number\n", stderr), 2;
        break;
      case run:
        options.run = optarg;
        break;
      case store:
        options.store = optarg;
        break;
      case uppers:
        if (!parseKind(optarg, options.uppers))
          return std::fputs("cloister-launcher: --uppers: auto, memory or disk\n", stderr), 2;
        break;
      case pool:
        options.pool = optarg;
        break;
      case cgroupRoot:
        options.cgroupRoot = optarg;
        break;
      case init:
        options.init = optarg;
        break;
      case appArmor:
        options.appArmor = optarg;
        break;
      case profiles:
        std::fputs(cloister::policy::appArmorProfiles().c_str(), stdout);
        return 0;
      case purgeAll:
        options.purge = true;
        break;
      case help:
        std::fputs(kUsage, stdout);
        return 0;
      default:
        std::fputs(kUsage, stderr);
        return 2;
    }
  }
  if (optind != argc) return std::fputs(kUsage, stderr), 2;
  if (::geteuid() != 0) return std::fputs("cloister-launcher: must be started as root\n", stderr), 1;
  if (options.socket.empty()) options.socket = options.run + "/launcher.sock";
  if (options.init.empty()) options.init = besideThisProgram("cloister-init");
  ::umask(022);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);  // a child or a caller that ends early is an error to report
  if (::setgroups(0, nullptr) != 0) return complain(cloister::errnoError("launcher", "setgroups"));
  for (const auto& [directory, mode] : {std::pair{options.run, 0755}, {options.store, 0700}}) {
    if (auto made = cloister::files::makeDirectories(directory, static_cast<mode_t>(mode)); !made) {
      return complain(made.error());
    }
    if (auto safe = cloister::files::rootsAlone(directory); !safe) return complain(safe.error());
  }
  return serve(options);
}
