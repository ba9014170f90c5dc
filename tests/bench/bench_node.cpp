#include "tests/bench/bench_node.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "tests/bench/commands.h"

namespace cloister::bench {
namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

Node::Node(const Host& host) : host_(host), server_(host.path("node-api.sock")) {
  server_.addBlob(host.layer(), contents(host.path("layer.erofs")));
  const std::string state = host.path("state");
  if (::mkdir(state.c_str(), 0755) != 0 || ::chown(state.c_str(), kNodeUser, kNodeUser) != 0)
    throw std::runtime_error("mkdir " + state);
  std::ofstream(host.path("token")) << "clst_test\n" << std::flush;
  start();
}

Node::~Node() {
  if (pid_ > 0) stop(SIGTERM);
}

void Node::start() {
  std::vector<std::string> words = {host_.program("cloister-node"),
                                    "--state",
                                    host_.path("state"),
                                    "--server",
                                    "unix:" + host_.path("node-api.sock"),
                                    "--token-file",
                                    host_.path("token"),
                                    "--launcher-socket",
                                    host_.path("run/launcher.sock"),
                                    "--name",
                                    "bench"};
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int log = ::open(host_.path("node.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::dup2(log, 1);
  ::dup2(log, 2);
  // Opened by root: the build may lie where no other user may enter.
  const int program = ::open(words.front().c_str(), O_PATH | O_CLOEXEC);
  if (::setgroups(0, nullptr) != 0 || ::setgid(kNodeUser) != 0 || ::setuid(kNodeUser) != 0) ::_exit(90);
  ::fexecve(program, pointers(words).data(), environ);
  ::_exit(91);
}

void Node::stop(int signal) {
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Node::want(const model::NodeWork& work, int seconds) {
  server_.want(work);
  const auto running = [&](const model::NodeStatus& status) {
    const auto up = std::count_if(status.instances.begin(), status.instances.end(),
                                  [](const auto& report) { return report.state == model::InstanceState::running; });
    return static_cast<std::size_t>(up) == work.instances.size();
  };
  if (!server_.awaitStatus(running, seconds)) throw std::runtime_error("not all instances run in time");
}

model::NodeWork workOf(const Host& host, unsigned tenants) {
  model::NodeWork work;
  work.certified = true;
  work.keepBlobs.push_back(host.layer());
  for (unsigned i = 0; i < tenants; ++i) {
    model::DesiredTenant tenant;
    tenant.id = "tn-" + std::to_string(i);
    tenant.name = "tenant" + std::to_string(i);
    tenant.index = kFirstTenant + i;
    tenant.limits.memoryBytes = 1ULL << 30U;
    tenant.limits.buildMemoryBytes = 256ULL << 20U;
    tenant.limits.cpuMillis = 1000;
    tenant.limits.pids = 1024;
    work.tenants.push_back(tenant);
  }
  return work;
}

model::DesiredInstance instanceOf(const Host& host, const std::string& id, unsigned tenant, unsigned place,
                                  const std::string& command) {
  model::DesiredInstance instance;
  instance.id = id;
  instance.tenantId = "tn-" + std::to_string(tenant);
  instance.appId = "ap-" + std::to_string(tenant);
  instance.app = "bench";
  instance.process = "worker";
  instance.command = command;
  instance.layers = {host.layer()};
  instance.limits = {64ULL << 20U, 1000, 32, 16ULL << 20U, 1024};
  instance.address = gatewayOf(kFirstTenant + tenant) + place;
  return instance;
}

}  // namespace cloister::bench
