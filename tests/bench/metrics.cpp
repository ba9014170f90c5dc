// The text of /metrics: prometheus-cpp's registry and serializer, ours, and a copy of the bytes, in turns.
//
//   bench_metrics TENANTS ROUNDS MILLISECONDS MIB
//
// Each contestant is a process of its own that says how long a page took it when it is told to make one, and at the end
// what it added to its memory: kept between pages, and at most. Ours counts from a ledger that is open, for a
// cloisterd without /metrics has that too. Exit 1: ours is over one of the two limits.
#include <malloc.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/metrics_world.h"
#include "tests/bench/scratch.h"
#include "tests/bench/tables.h"

namespace cloister::bench {
namespace {

using Clock = std::chrono::steady_clock;

double statusMib(const char* key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtod(line.c_str() + std::strlen(key), nullptr) / 1024;
  }
  throw std::runtime_error(key);
}

struct Memory {
  double kept = 0;  // MiB
  double most = 0;
};

// From now on: what was freed goes back to the kernel, and its record of the peak begins again.
class MemoryCount {
 public:
  MemoryCount() {
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5\n";
    before_ = statusMib("VmRSS:");
  }
  [[nodiscard]] Memory grown() const { return {statusMib("VmRSS:") - before_, statusMib("VmHWM:") - before_}; }

 private:
  double before_ = 0;
};

struct Round {
  double millis = 0;
  double bytes = 0;
};

// Makes a page and gives its size. `count` begins where the contestant's own memory does.
using Maker = std::function<std::size_t()>;
using Prepare = std::function<Maker(std::unique_ptr<MemoryCount>& count)>;

class Contestant {
 public:
  Contestant(std::string name, const Prepare& prepare) : name_(std::move(name)) {
    if (::pipe(orders_) != 0 || ::pipe(answers_) != 0) throw std::runtime_error("pipe");
    child_ = ::fork();
    if (child_ < 0) throw std::runtime_error("fork");
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(orders_[1]);
      ::close(answers_[0]);
      serve(prepare);
    }
    ::close(orders_[0]);
    ::close(answers_[1]);
  }
  ~Contestant() {
    // Closing would not end it: those that were forked later hold the other end too.
    (void)!::write(orders_[1], "q", 1);
    ::close(orders_[1]);
    ::close(answers_[0]);
    ::waitpid(child_, nullptr, 0);
  }
  Contestant(const Contestant&) = delete;
  Contestant& operator=(const Contestant&) = delete;

  void run() {
    const auto round = ask<Round>('p');
    bytes = round.bytes;
    millis.push_back(round.millis);
  }
  Memory memory() { return ask<Memory>('m'); }
  [[nodiscard]] const std::string& name() const { return name_; }

  std::vector<double> millis;
  double bytes = 0;

 private:
  [[noreturn]] void serve(const Prepare& prepare) {
    int code = 1;
    try {
      std::unique_ptr<MemoryCount> count;
      const auto make = prepare(count);
      for (char order = 0; ::read(orders_[0], &order, 1) == 1 && order != 'q';) {
        if (order == 'm') {
          tell(count->grown());
          continue;
        }
        const auto start = Clock::now();
        const auto size = make();
        tell(Round{std::chrono::duration<double, std::milli>(Clock::now() - start).count(), static_cast<double>(size)});
      }
      code = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
    }
    ::_exit(code);
  }
  template <typename T>
  void tell(const T& answer) const {
    if (::write(answers_[1], &answer, sizeof answer) != sizeof answer) ::_exit(2);
  }
  template <typename T>
  T ask(char order) const {
    T answer;
    if (::write(orders_[1], &order, 1) != 1 || ::read(answers_[0], &answer, sizeof answer) != sizeof answer) {
      throw std::runtime_error(name_ + " has ended");
    }
    return answer;
  }

  std::string name_;
  int orders_[2] = {-1, -1};
  int answers_[2] = {-1, -1};
  pid_t child_ = -1;
};

// `name{a="b",c="d"} value` into the registry, as a gauge of its family; our benchmark's labels need no unescaping.
void take(prometheus::Registry& registry, std::map<std::string, prometheus::Family<prometheus::Gauge>*>& families,
          const std::string& line) {
  const auto blank = line.rfind(' ');
  const auto brace = std::min(line.find('{'), blank);
  prometheus::Labels labels;
  for (auto at = brace; at < blank && line[at] != '}';) {
    const auto equals = line.find("=\"", at);
    const auto quote = line.find('"', equals + 2);
    labels[line.substr(at + 1, equals - at - 1)] = line.substr(equals + 2, quote - equals - 2);
    at = quote + 1;
  }
  const auto name = line.substr(0, brace);
  auto& family = families[name];
  if (family == nullptr) family = &prometheus::BuildGauge().Name(name).Help("As long as ours.").Register(registry);
  family->Add(labels).Set(std::strtod(line.c_str() + blank, nullptr));
}

Maker registryAndSerializer(const std::string& pageFile, std::unique_ptr<MemoryCount>& count) {
  count = std::make_unique<MemoryCount>();
  const auto registry = std::make_shared<prometheus::Registry>();
  std::map<std::string, prometheus::Family<prometheus::Gauge>*> families;
  std::ifstream page(pageFile);
  for (std::string line; std::getline(page, line);) {
    if (line.front() != '#') take(*registry, families, line);
  }
  return [registry] { return prometheus::TextSerializer().Serialize(registry->Collect()).size(); };
}

struct World {
  World(const std::string& path, int tenants, std::unique_ptr<MemoryCount>& count) : ledger(openLedger(path)) {
    count = std::make_unique<MemoryCount>();
    exposition = std::make_unique<metering::Exposition>(*ledger);
    announce(*exposition, tenants);
  }
  std::unique_ptr<metering::Ledger> ledger;
  std::unique_ptr<metering::Exposition> exposition;
};

Maker oursInOneString(const std::string& path, int tenants, std::size_t bytes, std::unique_ptr<MemoryCount>& count) {
  const auto world = std::make_shared<World>(path, tenants, count);
  // Kept from page to page, like what memcpy fills.
  const auto page = std::make_shared<std::string>();
  page->reserve(bytes + bytes / 16);
  return [world, page] {
    page->clear();
    world->exposition->page().write([&page](std::string_view block) {
      *page += block;
      return true;
    });
    return page->size();
  };
}

Maker oursInBlocks(const std::string& path, int tenants, std::unique_ptr<MemoryCount>& count) {
  const auto world = std::make_shared<World>(path, tenants, count);
  return [world] {
    std::size_t bytes = 0;
    world->exposition->page().write([&bytes](std::string_view block) {
      bytes += block.size();
      return true;
    });
    return bytes;
  };
}

Maker copyOfTheBytes(const std::string& pageFile, std::unique_ptr<MemoryCount>& count) {
  std::ifstream file(pageFile, std::ios::binary);
  const auto page =
      std::make_shared<std::string>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  count = std::make_unique<MemoryCount>();
  const auto copy = std::make_shared<std::string>(page->size(), '\0');
  return [page, copy] {
    std::memcpy(copy->data(), page->data(), page->size());
    return copy->size();
  };
}

// In a process of its own, so that what it leaves in the heap is nobody's.
void inAChild(const std::function<void()>& act) {
  const auto child = ::fork();
  if (child == 0) {
    try {
      act();
      ::_exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      ::_exit(1);
    }
  }
  int status = 1;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) throw std::runtime_error("no page to compare");
}

void writePage(const std::string& ledger, int tenants, const std::string& path) {
  fillLedger(ledger, tenants);
  std::unique_ptr<MemoryCount> unused;
  const World world(ledger, tenants, unused);
  std::ofstream out(path, std::ios::binary);
  world.exposition->page().write([&out](std::string_view block) { return bool(out << block); });
}

int run(int tenants, int rounds, double mostMillis, double mostMib) {
  const Scratch scratch;
  const auto ledger = scratch.file("ledger.db");
  const auto page = scratch.file("page");
  inAChild([&] { writePage(ledger, tenants, page); });
  std::vector<std::unique_ptr<Contestant>> all;
  const auto enter = [&all](const char* name, const Prepare& prepare) {
    all.push_back(std::make_unique<Contestant>(name, prepare));
  };
  enter("prometheus-cpp, registry + serializer", [&](auto& count) { return registryAndSerializer(page, count); });
  const auto bytes = std::filesystem::file_size(page);
  enter("ours, into one string", [&](auto& count) { return oursInOneString(ledger, tenants, bytes, count); });
  enter("ours, in blocks as it is sent", [&](auto& count) { return oursInBlocks(ledger, tenants, count); });
  enter("memcpy of the same bytes", [&](auto& count) { return copyOfTheBytes(page, count); });
  for (const auto& one : all) one->run();  // the first page of each is not counted
  for (const auto& one : all) one->millis.clear();
  for (int round = 0; round < rounds; ++round) {
    for (const auto& one : all) one->run();
  }
  const auto floor = median(all.back()->millis);
  std::printf("%d tenants, %d series, %d rounds in turns\n%-40s %9s %9s %9s %9s %9s %9s\n", tenants,
              tenants * kSeriesOfATenant, rounds, "", "MB", "ms", "p90", "x memcpy", "MiB kept", "at most");
  bool good = true;
  for (const auto& one : all) {
    const auto memory = one->memory();
    const auto typical = median(one->millis);
    std::printf("%-40s %9.1f %9.2f %9.2f %9.1f %9.1f %9.1f\n", one->name().c_str(), one->bytes / 1e6, typical,
                quantile(one->millis, 0.9), typical / floor, memory.kept, memory.most);
    if (one->name().starts_with("ours")) good = good && typical <= mostMillis && memory.most <= mostMib;
  }
  std::printf("%s: at most %.0f ms and %.0f MiB\n", good ? "held" : "NOT HELD", mostMillis, mostMib);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace cloister::bench

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s TENANTS ROUNDS MILLISECONDS MIB\n", argv[0]);
    return 2;
  }
  try {
    return cloister::bench::run(std::atoi(argv[1]), std::atoi(argv[2]), std::atof(argv[3]), std::atof(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
