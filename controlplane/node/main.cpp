#include <spdlog/spdlog.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdlib>

#include "controlplane/node/agent.h"
#include "controlplane/node/exception_text.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/own_confinement.h"

namespace {

using namespace cloister;

Status confine() {
  const auto filter = policy::compile(policy::profileFor(policy::OwnProcess::node));
  return filter ? process::confineSelf({}, *filter) : filter.error();
}

// Containers, their logs and their usage are looked after by the next node process: nothing is waited for here.
[[noreturn]] void leave(int code) {
  spdlog::default_logger()->flush();
  std::_Exit(code);
}

int serve(const node::Config& config) {
  auto stop = streams::terminationSignals();  // before any thread begins
  if (!stop) {
    spdlog::critical("{}", stop.error().message());
    return 1;
  }
  node::SocketLauncher launcher(config.launcherSocket);
  node::Agent agent(config, launcher);
  if (auto done = agent.start(); !done) {
    spdlog::critical("{}", done.error().message());
    leave(1);
  }
  spdlog::info("node {} runs; server {}", config.name, config.server);
  agent.run(stop->get());
  spdlog::info("node {} ends; containers go on", config.name);
  leave(0);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"cloister-node: runs what the control plane wants on this host"};
  std::string file = "/etc/cloister/node.toml";
  auto* fileOption = app.add_option("--config", file, "configuration file");
  node::Config flags;
  app.add_option("--state", flags.state, "state directory");
  app.add_option("--run", flags.run, "directory of sockets");
  app.add_option("--name", flags.name, "name of this node");
  app.add_option("--server", flags.server, "unix:PATH, http://... or https://...");
  app.add_option("--token-file", flags.tokenFile, "file with this node's token");
  app.add_option("--launcher-socket", flags.launcherSocket, "socket of cloister-launcher");
  app.add_option("--layer-store", flags.layerStore, "directory where cloister-launcher keeps images");
  std::string level = "info";
  app.add_option("--log-level", level, "trace, debug, info, warn, error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  CLI11_PARSE(app, argc, argv);

  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::info);
  if (::geteuid() == 0) {
    spdlog::critical("cloister-node refuses to run as root: what needs root is the launcher's");
    return 1;
  }
  if (auto done = confine(); !done) {
    spdlog::critical("{}", done.error().message());
    return 1;
  }
  if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return 1;
  try {
    const auto presence = fileOption->count() > 0 ? node::ConfigFile::required : node::ConfigFile::optional;
    return serve(node::loadConfig(file, presence, flags));
  } catch (const std::exception& error) {
    spdlog::critical("{}", cloister::node::textOf(error));
  }
  return 1;
}
