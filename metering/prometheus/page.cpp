#include "metering/prometheus/page.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "metering/prometheus/text.h"

namespace cloister::metering {
namespace {

constexpr std::size_t kBlock = 128UL * 1024;

using Row = TenantPage::Row;
using Value = Quantity (*)(const Row&);

template <Meter meter>
Quantity total(const Row& row) {
  return (*row.totals)[static_cast<std::size_t>(meter)];
}

struct Series {
  std::string_view labels;  // after the tenant's
  Value value;
};
enum class Shown { always, whileLive };
struct Family {
  const char* name;
  const char* help;
  const char* type;
  unsigned digits;  // of the fraction: the base unit of the ledger over that of Prometheus
  Shown shown;
  std::vector<Series> series;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"cloister_tenant_cpu_seconds_total", "CPU time used.", "counter", 9, Shown::always, {{"", total<Meter::cpu>}}},
      {"cloister_tenant_cpu_throttled_seconds_total",
       "Time that the CPU limit held runnable work back.",
       "counter",
       9,
       Shown::always,
       {{"", total<Meter::cpuThrottled>}}},
      {"cloister_tenant_memory_byte_seconds_total",
       "Memory in use, integrated over time.",
       "counter",
       3,
       Shown::always,
       {{"", total<Meter::memoryByteSeconds>}}},
      {"cloister_tenant_memory_allocated_byte_seconds_total",
       "Memory limits of running instances, integrated over time.",
       "counter",
       3,
       Shown::always,
       {{"", total<Meter::memoryAllocated>}}},
      {"cloister_tenant_memory_peak_bytes",
       "Highest memory of one instance in any window.",
       "gauge",
       0,
       Shown::always,
       {{"", total<Meter::memoryPeak>}}},
      {"cloister_tenant_oom_kills_total",
       "Processes killed at a memory limit.",
       "counter",
       0,
       Shown::always,
       {{"", total<Meter::oomKills>}}},
      {"cloister_tenant_io_bytes_total",
       "Bytes of block I/O.",
       "counter",
       0,
       Shown::always,
       {{R"(,direction="read")", total<Meter::blockRead>}, {R"(,direction="write")", total<Meter::blockWritten>}}},
      {"cloister_tenant_io_operations_total",
       "Operations of block I/O.",
       "counter",
       0,
       Shown::always,
       {{R"(,direction="read")", total<Meter::blockReads>}, {R"(,direction="write")", total<Meter::blockWrites>}}},
      {"cloister_tenant_network_bytes_total",
       "Bytes of traffic, as the tenant sees it.",
       "counter",
       0,
       Shown::always,
       {{R"(,direction="in",scope="external")", total<Meter::networkExternalIn>},
        {R"(,direction="out",scope="external")", total<Meter::networkExternalOut>},
        {R"(,direction="in",scope="internal")", total<Meter::networkInternalIn>},
        {R"(,direction="out",scope="internal")", total<Meter::networkInternalOut>}}},
      {"cloister_tenant_instance_seconds_total",
       "Time of running instances and builds.",
       "counter",
       3,
       Shown::always,
       {{"", total<Meter::instanceSeconds>}}},
      {"cloister_tenant_image_storage_byte_seconds_total",
       "Images and layers kept for the tenant's releases, integrated over time.",
       "counter",
       3,
       Shown::always,
       {{"", total<Meter::imageStorage>}}},
      {"cloister_tenant_memory_bytes",
       "Memory in use.",
       "gauge",
       0,
       Shown::whileLive,
       {{"", [](const Row& row) { return Quantity{row.levels.memoryBytes}; }}}},
      {"cloister_tenant_disk_bytes",
       "Writable disk in use.",
       "gauge",
       0,
       Shown::whileLive,
       {{"", [](const Row& row) { return Quantity{row.levels.diskBytes}; }}}},
      {"cloister_tenant_instances",
       "Running instances and builds.",
       "gauge",
       0,
       Shown::whileLive,
       {{"", [](const Row& row) { return Quantity{row.levels.instances}; }}}},
      {"cloister_tenant_limit_hits_total",
       "Times at a limit. memory: processes killed; cpu: periods in which work was held back; pids: forks refused; "
       "disk: readings, one a second, that found it full; network: packets dropped.",
       "counter",
       0,
       Shown::whileLive,
       {{R"(,limit="memory")", total<Meter::oomKills>},
        {R"(,limit="cpu")", total<Meter::cpuThrottles>},
        {R"(,limit="pids")", total<Meter::pidsRefused>},
        {R"(,limit="disk")", total<Meter::diskFull>},
        {R"(,limit="network")", total<Meter::networkDropped>}}},
  };
  return all;
}

std::size_t seriesOf(const Row& row) {
  static const auto counts = [] {
    std::array<std::size_t, 2> sums{};
    for (const auto& family : families()) sums.at(static_cast<std::size_t>(family.shown)) += family.series.size();
    return sums;
  }();
  const auto always = counts[static_cast<std::size_t>(Shown::always)];
  if (!row.live) return always;
  return always + counts[static_cast<std::size_t>(Shown::whileLive)] + row.waits + (row.plan.size > 0 ? 1U : 0U);
}

// Text that goes to the sink a block at a time.
class Blocks {
 public:
  explicit Blocks(const TenantPage::Sink& sink) : sink_(sink) { text_.reserve(kBlock + kBlock / 8); }

  void head(const char* name, const char* help, const char* type) { appendHead(text_, name, help, type); }
  void line(std::string_view front, std::string_view tenant, std::string_view back, Quantity value, unsigned digits) {
    if (!wanted_) return;
    text_.append(front).append(tenant).append(back);
    appendScaled(text_, value, digits);
    text_ += '\n';
    if (text_.size() >= kBlock) flush();
  }
  // A metric without a tenant.
  void own(const char* name, const char* help, const char* type, Quantity value, unsigned digits = 0) {
    head(name, help, type);
    line(name, {}, " ", value, digits);
  }
  std::string& text() { return text_; }
  void flush() {
    wanted_ = wanted_ && sink_(text_);
    text_.clear();
  }

 private:
  const TenantPage::Sink& sink_;
  std::string text_;
  bool wanted_ = true;
};

std::string frontOf(const char* name) {
  return std::string(name) + "{tenant=\"";
}

std::string backOf(std::string_view labels) {
  return "\"" + std::string(labels) + "} ";
}

void writeFamily(Blocks& out, const TenantPage& page, const Family& family) {
  out.head(family.name, family.help, family.type);
  const auto front = frontOf(family.name);
  std::vector<std::string> backs;
  for (const auto& series : family.series) backs.push_back(backOf(series.labels));
  const std::string_view labels = page.labels;
  for (const auto& row : page.rows) {
    if (family.shown == Shown::whileLive && !row.live) continue;
    const auto tenant = labels.substr(row.tenant.offset, row.tenant.size);
    for (std::size_t i = 0; i < backs.size(); ++i) {
      out.line(front, tenant, backs[i], family.series[i].value(row), family.digits);
    }
  }
}

void writeInfo(Blocks& out, const TenantPage& page) {
  constexpr const char* kName = "cloister_tenant_info";
  out.head(kName, "The tenant's plan.", "gauge");
  const auto front = frontOf(kName);
  const std::string_view labels = page.labels;
  for (const auto& row : page.rows) {
    if (!row.live || row.plan.size == 0) continue;
    std::string back = R"(",plan=")";
    back.append(labels.substr(row.plan.offset, row.plan.size)).append("\"} ");
    out.line(front, labels.substr(row.tenant.offset, row.tenant.size), back, 1, 0);
  }
}

void writeWaits(Blocks& out, const TenantPage& page) {
  constexpr const char* kName = "cloister_tenant_pressure_seconds_total";
  out.head(kName, "Time that some or all of the tenant's processes on a node waited for a resource.", "counter");
  const auto front = frontOf(kName);
  const std::string_view labels = page.labels;
  for (const auto& row : page.rows) {
    for (std::size_t i = row.firstWait; i < row.firstWait + row.waits; ++i) {
      const auto& wait = page.waits[i];
      out.line(front, labels.substr(row.tenant.offset, row.tenant.size),
               labels.substr(wait.labels.offset, wait.labels.size), wait.micros, 6);
    }
  }
}

void writeHosts(Blocks& out, const std::map<std::string, TenantPage::Host>& hosts) {
  constexpr std::array kCounters{
      std::tuple{"cloister_host_cpu_seconds_total", "CPU time of a node's whole host.", Meter::hostCpu},
      std::tuple{"cloister_host_tenants_cpu_seconds_total",
                 "CPU time of all tenants' groups on a node, those that are gone with them.", Meter::groupCpu},
  };
  std::map<std::string, std::string> labels;
  for (const auto& [node, host] : hosts) appendLabelValue(labels[node], node);
  for (const auto& [name, help, meter] : kCounters) {
    out.head(name, help, "counter");
    const std::string front = std::string(name) + "{node=\"";
    for (const auto& [node, host] : hosts) {
      if (host.totals != nullptr)
        out.line(front, labels[node], "\"} ", (*host.totals)[static_cast<std::size_t>(meter)], 9);
    }
  }
  constexpr const char* kName = "cloister_metering_reconciliation_difference_ratio";
  out.head(
      kName,
      "What instances' CPU is over (or below) that of their tenants' own groups, or of all that the host's tenants "
      "spent, as a part of it, in the last hour.",
      "gauge");
  for (const auto& [node, host] : hosts) {
    for (const auto& [against, ratio] : {std::pair{"groups", host.againstGroups}, {"host", host.againstHost}}) {
      if (!ratio) continue;
      out.text().append(kName).append("{node=\"").append(labels[node]);
      out.text().append("\",against=\"").append(against).append("\"} ");
      appendNumber(out.text(), *ratio);
      out.text() += '\n';
    }
  }
}

}  // namespace

const Totals TenantPage::kNothing{};

TenantPage::Text TenantPage::keep(std::string_view escaped) {
  const Text text{static_cast<std::uint32_t>(labels.size()), static_cast<std::uint32_t>(escaped.size())};
  labels += escaped;
  return text;
}

void TenantPage::add(const Row& row, std::size_t mostSeries) {
  const auto wanted = seriesOf(row);
  if (dropped_ == 0 && series_ + wanted <= mostSeries) {
    series_ += wanted;
    rows.push_back(row);
    return;
  }
  dropped_ += wanted;
  waits.resize(row.firstWait);
}

void TenantPage::write(const Sink& sink) const {
  if (!known) return;
  Blocks out(sink);
  for (const auto& family : families()) writeFamily(out, *this, family);
  writeWaits(out, *this);
  writeInfo(out, *this);

  out.own("cloister_metering_gap_seconds_total", "Time in which a reading is missing.", "counter",
          health.gapMilliseconds, 3);
  out.own("cloister_metering_resets_total", "Kernel counters that went backwards.", "counter", health.counterResets);
  out.own("cloister_metering_final_reads_missed_total", "Groups that ended without a last reading.", "counter",
          health.finalReadsMissed);
  out.own("cloister_metering_refused_batches_total", "Batches that repeated a sequence with other content.", "counter",
          health.refusedBatches);
  out.own("cloister_metering_bad_seals_total", "Hosts' seals whose signature is of no key of their host.", "counter",
          badSeals);
  const auto lag = health.latest == 0 ? 0 : at - health.latest;
  out.own("cloister_metering_ledger_lag_seconds", "Age of the newest window in the ledger.", "gauge",
          static_cast<std::uint64_t>(lag), 6);
  out.own("cloister_metering_series_dropped", "Tenants' series that the cap leaves out of this page.", "gauge",
          dropped_);
  writeHosts(out, hosts);
  out.flush();
}

}  // namespace cloister::metering
