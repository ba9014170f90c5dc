#include "tests/bench/contestants.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

namespace cloister::bench {
namespace {

// As `runc spec` writes it, cut to what the others do too: seven namespaces, an id mapping, no capabilities, a group.
constexpr const char* kBundle = R"({
  "ociVersion": "1.0.2",
  "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": true,
              "capabilities": {}},
  "root": {"path": "@ROOT@", "readonly": true},
  "hostname": "bench",
  "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
             {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]}],
  "linux": {"cgroupsPath": "@GROUP@",
            "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
            "namespaces": [{"type": "user"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                           {"type": "mount"}, {"type": "cgroup"}]}
})";

void replace(std::string& text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
}

std::string judge(int code) {
  return code == 0 ? std::string() : "exit " + std::to_string(code);
}

Contestant command(const std::string& name, std::vector<std::string> words) {
  Contestant made;
  made.name = name;
  if (::access(words.front().c_str(), X_OK) != 0) made.absent = "not installed";
  made.run = [words = std::move(words)](unsigned) { return judge(runCommand(words)); };
  return made;
}

Contestant runc(const Host& host) {
  Contestant made;
  made.name = "runc";
  const std::string program = findProgram("runc");
  if (program.empty()) made.absent = "not installed";
  std::string bundle = kBundle;
  replace(bundle, "@ROOT@", host.rootfs());
  replace(bundle, "@GROUP@", "/" + host.cgroupRoot() + "-runc");
  std::ofstream(host.path("config.json")) << bundle;
  made.run = [program, root = host.path("runc"), bundleDirectory = host.path("")](unsigned round) {
    return judge(
        runCommand({program, "--root", root, "run", "--bundle", bundleDirectory, "bench-" + std::to_string(round)}));
  };
  return made;
}

std::string runInCloister(Host& host, const std::string& instance, Ipv4 address, std::vector<double>& launchMillis) {
  launcher::LaunchRequest request;
  request.instance = instance;
  request.tenant = kTenant;
  request.layers = {host.layer()};
  request.hostname = "bench";
  request.argv = {"/bin/true"};
  request.environment = {"PATH=/bin"};
  request.workingDirectory = "/";
  request.address = address;
  request.limits = {.memoryBytes = 64ULL << 20U,
                    .cpuMillis = 1'000,
                    .pids = 32,
                    .diskBytes = 16ULL << 20U,
                    .inodes = 1'000,
                    .openFiles = 256};
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd status(::open(host.path("status").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto begin = std::chrono::steady_clock::now();
  auto launched =
      host.client().launch(request, {.in = null.get(), .out = null.get(), .err = null.get(), .status = status.get()});
  if (!launched) return launched.error().message();
  launchMillis.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  pollfd ended{launched->descriptor(launcher::DescriptorKind::pid), POLLIN, 0};
  if (::poll(&ended, 1, 10'000) != 1) return "did not end within 10 s";
  const Status removed = host.client().remove(instance);
  if (!removed) return removed.error().message();
  std::ifstream line(host.path("status"));
  std::string kind;
  int code = -1;
  line >> kind >> code;
  return kind == "exit" && code == 0 ? std::string() : "ended with " + kind + " " + std::to_string(code);
}

}  // namespace

std::vector<Contestant> rivals(const Host& host, const std::string& floorProgram) {
  std::vector<Contestant> all;
  all.push_back(command("fork + exec", {host.rootfs() + "/bin/busybox", "true"}));
  all.push_back(command("floor", {floorProgram, host.rootfs(), "/bin/true"}));
  const std::string bubblewrap = findProgram("bwrap");
  all.push_back(
      command("bubblewrap", {bubblewrap.empty() ? "bwrap" : bubblewrap, "--unshare-all", "--ro-bind", host.rootfs(),
                             "/", "--proc", "/proc", "--dev", "/dev", "--cap-drop", "ALL", "/bin/true"}));
  all.push_back(runc(host));
  return all;
}

Contestant cloister(Host& host, Link link, std::vector<double>& launchMillis) {
  const bool linked = link == Link::tenantNetwork;
  return {.name = linked ? "cloister, network" : "cloister",
          .absent = {},
          .run = [&host, linked, &launchMillis](unsigned round) {
            // Addresses in turn: the link of the last one may still be on its way out.
            const Ipv4 address = linked ? gatewayOf(kTenant) + 1 + round % 250 : 0;
            return runInCloister(host, (linked ? "linked-" : "plain-") + std::to_string(round), address, launchMillis);
          }};
}

}  // namespace cloister::bench
