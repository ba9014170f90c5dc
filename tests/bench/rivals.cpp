#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "policy/model/answered_calls.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/identity.h"
#include "tests/bench/commands.h"
#include "tests/bench/contestants.h"
#include "tests/bench/oci_bundle.h"

namespace cloister::bench {
namespace {

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

Contestant ociRuntime(const Host& host, const std::string& name, Bundle bundle) {
  const bool confined = bundle == Bundle::confined;
  Contestant made;
  made.name = name + (confined ? ", our limits and filter" : ", bare");
  const std::string program = findProgram(name);
  if (program.empty()) {
    made.absent = "not installed";
    return made;
  }
  // A bundle a run: each has a group of its own, and only the runtime knows when that can go.
  const std::string kind = name + (confined ? "-confined-" : "-bare-");
  const std::string group = "/" + host.cgroupRoot() + "-" + kind;
  const auto words = [program, bundle, group, directory = host.path(kind), root = host.path(name),
                      rootfs = host.rootfs(), kind](const std::string& id) {
    ::mkdir((directory + id).c_str(), 0755);
    std::ofstream(directory + id + "/config.json")
        << ociConfig(bundle, {.rootfs = rootfs, .cgroupsPath = group + id}) << std::flush;
    return std::vector<std::string>{program, "--root", root, "run", "--bundle", directory + id, kind + id};
  };
  made.absent = complaintOf(words("probe"));
  made.run = [words](unsigned round) { return judge(runCommand(words(std::to_string(round)))); };
  return made;
}

}  // namespace cloister::bench
