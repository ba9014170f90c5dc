// bench_neighbours: how long a web server's answers take, alone and beside another tenant that floods the machine.
//
//   bench_neighbours BINARIES SECONDS     SECONDS: of each flood, 1 to 20
//
// Victim and neighbour are containers of two tenants with one plan: half the machine's CPU at most each, the same
// share when both want it. Requests go from the host to the victim's address, as the edge's do. The neighbour's output
// is pumped by cloister-node's own LogPump. A line alone and a line after all floods frame the table.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/node/log_pump.h"
#include "tests/bench/bench_host.h"
#include "tests/bench/floods.h"
#include "tests/bench/http_probe.h"
#include "tests/bench/tables.h"

namespace {

using namespace cloister;
using namespace cloister::bench;

constexpr TenantIndex kVictim = kTenant;
constexpr TenantIndex kNeighbour = kTenant + 1;
constexpr std::uint16_t kPort = 8080;
constexpr std::chrono::milliseconds kSettle{500};

Ipv4 addressOf(TenantIndex tenant, unsigned number) {
  return gatewayOf(tenant) + 1 + number;
}

// A container that is removed with its owner.
class Running {
 public:
  Running(Host& host, node::LogPump& pump, const std::string& instance, TenantIndex tenant, Ipv4 address,
          const std::string& command)
      : host_(host), pump_(pump), instance_(instance) {
    auto request = busybox(host, instance, {"/bin/sh", "-c", command});
    request.tenant = tenant;
    request.address = address;
    request.limits.memoryBytes = 128ULL << 20U;
    request.limits.pids = 64;
    request.limits.diskBytes = 64ULL << 20U;
    request.limits.inodes = 20'000;
    const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd out = fifo("out");
    const UniqueFd err = fifo("err");
    auto launched = host.client().launch(request, {in.get(), out.get(), err.get(), in.get()});
    if (!launched) throw std::runtime_error(instance + ": " + launched.error().message());
    ::mkdir(host.path("log-" + instance).c_str(), 0700);
    auto store =
        std::make_shared<node::LogStore>(host.path("log-" + instance), node::LogStore::Origin{"app", "web", instance});
    if (auto added = pump.add(instance, fifo("out"), fifo("err"), store); !added)
      throw std::runtime_error(added.error().message());
  }
  ~Running() {
    (void)host_.client().remove(instance_);
    pump_.remove(instance_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  UniqueFd fifo(const char* name) {
    const std::string path = host_.path(instance_ + "." + name);
    if (::mkfifo(path.c_str(), 0600) == 0) (void)::chmod(path.c_str(), 0666);
    return UniqueFd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
  Host& host_;
  node::LogPump& pump_;
  std::string instance_;
};

void replaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

struct Line {
  std::string name;
  Probed probed;
};

void print(const std::vector<Line>& lines) {
  const double p50 = median(lines.front().probed.millis);
  const double p99 = quantile(lines.front().probed.millis, 0.99);
  std::printf("a web server's answers, milliseconds\n%-16s %9s %9s %9s %9s %9s %9s %7s\n", "beside", "requests", "p50",
              "x alone", "p99", "x alone", "slowest", "failed");
  for (const Line& line : lines) {
    const auto& millis = line.probed.millis;
    std::printf("%-16s %9zu %9.2f %9.2f %9.2f %9.2f %9.2f %7u\n", line.name.c_str(), millis.size(), median(millis),
                median(millis) / p50, quantile(millis, 0.99), quantile(millis, 0.99) / p99, quantile(millis, 1.0),
                line.probed.failed);
  }
}

int run(const std::string& binaries, std::chrono::seconds duration) {
  Host host(binaries);
  host.startLauncher();
  host.putTenant(kNeighbour);
  auto pump = node::LogPump::start();
  if (!pump) throw std::runtime_error(pump.error().message());
  const Ipv4 server = addressOf(kVictim, 0);
  const Running victim(host, **pump, "victim", kVictim, server, "exec httpd -f -p 8080 -h /");
  if (!awaitServer(server, kPort, std::chrono::seconds(10))) throw std::runtime_error("the victim does not answer");

  std::vector<Line> lines;
  lines.push_back({"nobody", probeServer(server, kPort, duration)});
  for (const Flood& flood : floods()) {
    const std::string name = "flood" + std::to_string(lines.size());
    std::optional<Running> companion;
    if (*flood.companion != '\0')
      companion.emplace(host, **pump, name + "-b", kNeighbour, addressOf(kNeighbour, 1), flood.companion);
    std::string command = flood.command;
    replaceAll(command, "@NEXT@", formatIpv4(addressOf(kNeighbour, 1)));
    const Running neighbour(host, **pump, name, kNeighbour, addressOf(kNeighbour, 0), command);
    std::this_thread::sleep_for(kSettle);
    lines.push_back({flood.name, probeServer(server, kPort, duration)});
  }
  std::this_thread::sleep_for(kSettle);
  lines.push_back({"nobody again", probeServer(server, kPort, duration)});
  print(lines);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned seconds = 0;
  const std::string text = argc == 3 ? argv[2] : "";
  if (std::from_chars(text.data(), text.data() + text.size(), seconds).ec != std::errc{} || seconds < 1 ||
      seconds > 20) {
    std::fputs("usage: bench_neighbours BINARIES SECONDS   (1 to 20)\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], std::chrono::seconds(seconds));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_neighbours: %s\n", error.what());
    return 1;
  }
}
