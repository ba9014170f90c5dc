#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "policy/model/answered_calls.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/identity.h"
#include "tests/bench/commands.h"
#include "tests/bench/contestants.h"

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

Sample judge(const Ended& ended) {
  Sample sample;
  if (ended.code != 0) sample.failure = "exit " + std::to_string(ended.code);
  sample.cpuMillis = ended.cpuMillis;
  return sample;
}

Contestant command(const std::string& name, std::vector<std::string> words) {
  Contestant made;
  made.name = name;
  if (::access(words.front().c_str(), X_OK) != 0) made.absent = "not installed";
  made.run = [words = std::move(words)](unsigned) { return judge(runCommand(words)); };
  return made;
}

}  // namespace

Contestant forkAndExec(const Host& host) {
  return command("fork + exec", {host.rootfs() + "/bin/busybox", "true"});
}

Contestant bareFloor(const Host& host) {
  return command("bare floor", {host.program("bench_floor_bare"), host.rootfs(), "/bin/true"});
}

Contestant fullFloor(Host& host, const std::string& userNamespace, const std::string& group, Link link) {
  const auto filter = policy::compile(policy::profileFor(launcher::Confinement::app));
  const std::string filterFile = host.path("floor-filter");
  if (filter) {
    const auto program = policy::withAnsweredCalls(*filter);
    std::ofstream(filterFile, std::ios::binary)
        .write(reinterpret_cast<const char*>(program.data()),
               static_cast<std::streamsize>(program.size() * sizeof program.front()));
  }
  const std::string bridge = link == Link::tenantNetwork ? bridgeName(kTenant) : "-";
  Contestant made;
  made.name = link == Link::tenantNetwork ? "floor, our features, network" : "floor, our features";
  if (!filter) made.absent = filter.error().message();
  made.hasExec = true;
  made.run = [&host, userNamespace, group, bridge, filterFile](unsigned round) {
    const std::string time = host.path("floor-" + std::to_string(round));
    Sample sample = judge(runCommand({host.program("bench_floor_full"), host.path("layer"), userNamespace, group,
                                      bridge, filterFile, time, "/bin/true"}));
    std::ifstream(time) >> sample.execMillis;
    sample.execMillis /= 1e3;
    ::unlink(time.c_str());
    return sample;
  };
  return made;
}

Contestant bubblewrap(const Host& host) {
  const std::string program = findProgram("bwrap");
  return command("bubblewrap", {program.empty() ? "bwrap" : program, "--unshare-all", "--ro-bind", host.rootfs(), "/",
                                "--proc", "/proc", "--dev", "/dev", "--cap-drop", "ALL", "/bin/true"});
}

Contestant ociRuntime(const Host& host, const std::string& name) {
  Contestant made;
  made.name = name;
  const std::string program = findProgram(name);
  const std::string bundle = host.path(name + "-bundle-");
  if (program.empty()) {
    made.absent = "not installed";
    return made;
  }
  // A bundle a run: each has a group of its own, and only the runtime knows when that can go.
  const auto words = [program, bundle, root = host.path(name), rootfs = host.rootfs(),
                      group = "/" + host.cgroupRoot() + "-" + name](const std::string& id) {
    std::string text = kBundle;
    replace(text, "@ROOT@", rootfs);
    replace(text, "@GROUP@", group + "-" + id);
    ::mkdir((bundle + id).c_str(), 0755);
    std::ofstream(bundle + id + "/config.json") << text << std::flush;
    return std::vector<std::string>{program, "--root", root, "run", "--bundle", bundle + id, id};
  };
  made.absent = complaintOf(words("probe"));
  made.run = [words](unsigned round) { return judge(runCommand(words(std::to_string(round)))); };
  return made;
}

}  // namespace cloister::bench
