#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "api/bootstrap.h"
#include "api/config.h"
#include "api/daemon.h"
#include "controlplane/edge/config.h"
#include "policy/model/seccomp.h"
#include "sandbox/base/own_confinement.h"

namespace {

constexpr const char* kUsualConfig = "/etc/cloister/cloisterd.toml";

cloister::Status confine() {
  using namespace cloister;
  const auto filter = policy::compile(policy::profileFor(policy::OwnProcess::daemon));
  return filter ? process::confineSelf({}, *filter) : filter.error();
}

// Signals that end the daemon are taken by one call in main; blocked before any thread starts, so all inherit that.
sigset_t blockedSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

struct Flags {
  std::string config;
  std::string state;
  std::string run;
  std::string listen;
  std::string metricsListen;
};

cloister::api::Config configOf(Flags flags) {
  if (flags.config.empty() && std::filesystem::exists(kUsualConfig)) flags.config = kUsualConfig;
  auto config = cloister::api::loadConfig(flags.config);
  const auto take = [](std::string& value, const std::string& flag) {
    if (!flag.empty()) value = flag;
  };
  take(config.state, flags.state);
  take(config.run, flags.run);
  take(config.listen, flags.listen);
  take(config.metricsListen, flags.metricsListen);
  return config;
}

struct EdgeFlags {
  std::vector<std::string> bind{"*:8080"};
  std::string luaFile = "/etc/cloister/haproxy.lua";
  bool printsLua = false;
};

// What HAProxy needs to serve this daemon's routes: printed for root, who keeps it where the daemon's own user cannot
// change it.
void printEdgeConfig(const cloister::api::Config& config, const EdgeFlags& flags) {
  if (flags.printsLua) {
    std::cout << cloister::edge::haproxyLua();
    return;
  }
  cloister::edge::ConfigOptions options;
  options.mapDirectory = config.edgeMapsPath();
  options.runtimeSocket = config.edgeSocketPath();
  options.bind = flags.bind;
  options.luaFile = flags.luaFile;
  if (config.edgeConnections != 0) options.connections.all = config.edgeConnections;
  std::cout << cloister::edge::haproxyConfig(options);
}

int serve(const cloister::api::Config& config) {
  const sigset_t signals = blockedSignals();
  cloister::api::Daemon daemon(config);
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("signal {}: stopping", signal);
  // A client that will not let go of its connection must not keep the daemon: SIGALRM ends it.
  alarm(5);
  daemon.stop();
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("cloisterd: Cloister's API, control loops and store");
  Flags flags;
  app.add_option("--config", flags.config, std::string("TOML file (default ") + kUsualConfig + " if it is there)");
  app.add_option("--state", flags.state, "state directory");
  app.add_option("--run", flags.run, "directory of the sockets");
  app.add_option("--listen", flags.listen, "address and port for clients");
  app.add_option("--metrics-listen", flags.metricsListen, "address and port for Prometheus");
  cloister::api::BootstrapOptions options;
  auto* boot =
      app.add_subcommand("bootstrap", "make token files and the edge's map files, register a base image, then exit");
  boot->add_option("--admin-token-file", options.adminTokenFile,
                   "provider's token, made when missing or no longer valid");
  boot->add_option("--node-token-file", options.nodeTokenFile, "node's token, likewise");
  boot->add_option("--base-image", options.baseImage, "erofs image of a base");
  boot->add_option("--base-name", options.baseName, "its name (default debian-12)");
  EdgeFlags edgeFlags;
  auto* edge = app.add_subcommand("edge-config", "print HAProxy's configuration, which needs no rights, then exit");
  edge->add_option("--bind", edgeFlags.bind, "where HAProxy listens, one or more (default *:8080); [::]:8080 for IPv6");
  edge->add_option("--lua-file", edgeFlags.luaFile, "where its Lua file lies (default " + edgeFlags.luaFile + ")");
  edge->add_flag("--lua", edgeFlags.printsLua, "print that Lua file instead");
  app.set_version_flag("--version", CLOISTER_VERSION);
  CLI11_PARSE(app, argc, argv);

  if (geteuid() == 0 && !*edge) {
    std::cerr << "cloisterd: refuses to run as root; start it as the user cloister\n";
    return EXIT_FAILURE;
  }
  if (auto done = confine(); !done) {
    std::cerr << "cloisterd: " << done.error().message() << "\n";
    return EXIT_FAILURE;
  }
  umask(0027);
  spdlog::set_default_logger(spdlog::stdout_logger_mt("cloisterd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %v", spdlog::pattern_time_type::utc);
  spdlog::flush_on(spdlog::level::info);
  try {
    const auto config = configOf(flags);
    spdlog::set_level(spdlog::level::from_str(config.logLevel));
    if (*boot) {
      cloister::api::bootstrap(config, options);
      return EXIT_SUCCESS;
    }
    if (*edge) {
      printEdgeConfig(config, edgeFlags);
      return EXIT_SUCCESS;
    }
    return serve(config);
  } catch (const std::exception& error) {
    std::cerr << "cloisterd: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
