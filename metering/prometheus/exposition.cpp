#include "metering/prometheus/exposition.h"

#include <algorithm>
#include <utility>

#include "sandbox/base/counters.h"

namespace cloister::metering {
namespace {

constexpr std::int64_t kFreshMicros = 60'000'000;

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

MetricFamily family(const char* name, const char* help, MetricType type) {
  return {name, help, type, {}};
}

void add(MetricFamily& family, Labels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

// One series of a tenant that is a total in the ledger.
struct TotalSeries {
  Meter meter;
  double divisor;  // base unit of the ledger -> base unit of Prometheus
  Labels labels;
};
struct TotalFamily {
  const char* name;
  const char* help;
  MetricType type;
  std::vector<TotalSeries> series;
};

std::vector<TotalFamily> totalFamilies() {
  return {
      {"cloister_tenant_cpu_seconds_total", "CPU time used.", MetricType::Counter, {{Meter::cpu, 1e9, {}}}},
      {"cloister_tenant_cpu_throttled_seconds_total",
       "Time that the CPU limit held runnable work back.",
       MetricType::Counter,
       {{Meter::cpuThrottled, 1e9, {}}}},
      {"cloister_tenant_memory_byte_seconds_total",
       "Memory in use, integrated over time.",
       MetricType::Counter,
       {{Meter::memoryByteSeconds, 1e3, {}}}},
      {"cloister_tenant_memory_allocated_byte_seconds_total",
       "Memory limits of running instances, integrated over time.",
       MetricType::Counter,
       {{Meter::memoryAllocated, 1e3, {}}}},
      {"cloister_tenant_memory_peak_bytes",
       "Highest memory of one instance in any window.",
       MetricType::Gauge,
       {{Meter::memoryPeak, 1, {}}}},
      {"cloister_tenant_oom_kills_total",
       "Processes killed at a memory limit.",
       MetricType::Counter,
       {{Meter::oomKills, 1, {}}}},
      {"cloister_tenant_io_bytes_total",
       "Bytes of block I/O.",
       MetricType::Counter,
       {{Meter::blockRead, 1, {{"direction", "read"}}}, {Meter::blockWritten, 1, {{"direction", "write"}}}}},
      {"cloister_tenant_network_bytes_total",
       "Bytes of traffic, as the tenant sees it.",
       MetricType::Counter,
       {{Meter::networkExternalIn, 1, {{"direction", "in"}, {"scope", "external"}}},
        {Meter::networkExternalOut, 1, {{"direction", "out"}, {"scope", "external"}}},
        {Meter::networkInternalIn, 1, {{"direction", "in"}, {"scope", "internal"}}},
        {Meter::networkInternalOut, 1, {{"direction", "out"}, {"scope", "internal"}}}}},
      {"cloister_tenant_instance_seconds_total",
       "Time of running instances and builds.",
       MetricType::Counter,
       {{Meter::instanceSeconds, 1e3, {}}}},
  };
}

Labels labelled(const std::string& tenant, const Labels& more) {
  Labels labels{{"tenant", tenant}};
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

std::uint64_t perMilli(std::uint64_t integral, std::int64_t from, std::int64_t to) {
  const auto millis = static_cast<std::uint64_t>(std::max<std::int64_t>((to - from) / 1000, 1));
  return integral / millis + (integral % millis >= (millis + 1) / 2 ? 1 : 0);
}

}  // namespace

Exposition::Exposition(const Ledger& ledger) : Exposition(ledger, counters::utcMicros) {}
Exposition::Exposition(const Ledger& ledger, Clock clock) : ledger_(ledger), clock_(std::move(clock)) {}

void Exposition::observe(const UsageBatch& batch) {
  const std::lock_guard lock(mutex_);
  for (const auto& row : batch.rows) {
    auto& window = tenants_[row.tenantId].windows[batch.source];
    if (row.to < window.to) continue;
    // A window may come in several batches: the same end adds up, a later end begins anew.
    if (row.to > window.to) window = Window{row.from, row.to, 0, 0, 0};
    if (row.meter == Meter::memoryByteSeconds) window.memory += row.quantity;
    if (row.meter == Meter::diskByteSeconds) window.disk += row.quantity;
    if (row.meter == Meter::instanceSeconds) window.instances += row.quantity;
  }
}

void Exposition::setLive(const std::string& tenantId, const LiveLevels& levels) {
  const std::lock_guard lock(mutex_);
  auto& tenant = tenants_[tenantId];
  tenant.live = levels;
  tenant.liveAt = clock_();
}

void Exposition::setPlan(const std::string& tenantId, const std::string& plan) {
  const std::lock_guard lock(mutex_);
  tenants_[tenantId].plan = plan;
}

void Exposition::setPressure(const std::string& node, const std::string& tenantId, const Stall& stall) {
  const std::lock_guard lock(mutex_);
  tenants_[tenantId].pressures[{node, stall.resource, stall.kind}] = {stall.micros, clock_()};
}

void Exposition::forget(const std::string& tenantId) {
  const std::lock_guard lock(mutex_);
  tenants_.erase(tenantId);
}

LiveLevels Exposition::levelsAt(const Tenant& tenant, std::int64_t at) {
  LiveLevels levels;
  if (tenant.liveAt != 0 && at - tenant.liveAt <= kFreshMicros) return tenant.live;
  for (const auto& [source, window] : tenant.windows) {
    if (at - window.to > kFreshMicros) continue;
    levels.memoryBytes += perMilli(window.memory, window.from, window.to);
    levels.diskBytes += perMilli(window.disk, window.from, window.to);
    levels.instances += perMilli(window.instances, window.from, window.to);
  }
  return levels;
}

std::vector<MetricFamily> Exposition::Collect() const {
  std::vector<MetricFamily> families;
  const auto totals = ledger_.totals();
  for (const auto& wanted : totalFamilies()) {
    auto one = family(wanted.name, wanted.help, wanted.type);
    one.metric.reserve(totals.size() * wanted.series.size());
    for (const auto& tenant : totals) {
      for (const auto& series : wanted.series) {
        const auto total = tenant.totals.at(static_cast<std::size_t>(series.meter));
        add(one, labelled(tenant.tenantId, series.labels), approximate(total) / series.divisor);
      }
    }
    families.push_back(std::move(one));
  }

  auto memory = family("cloister_tenant_memory_bytes", "Memory in use.", MetricType::Gauge);
  auto disk = family("cloister_tenant_disk_bytes", "Writable disk in use.", MetricType::Gauge);
  auto instances = family("cloister_tenant_instances", "Running instances and builds.", MetricType::Gauge);
  auto info = family("cloister_tenant_info", "The tenant's plan.", MetricType::Gauge);
  auto pressure =
      family("cloister_tenant_pressure_seconds_total",
             "Time that some or all of the tenant's processes on a node waited for a resource.", MetricType::Counter);
  const auto at = clock_();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, tenant] : tenants_) {
      const auto levels = levelsAt(tenant, at);
      add(memory, labelled(id, {}), static_cast<double>(levels.memoryBytes));
      add(disk, labelled(id, {}), static_cast<double>(levels.diskBytes));
      add(instances, labelled(id, {}), static_cast<double>(levels.instances));
      for (const auto& [whose, waited] : tenant.pressures) {
        if (at - waited.at > kFreshMicros) continue;
        const auto& [node, resource, kind] = whose;
        add(pressure, labelled(id, {{"node", node}, {"resource", resource}, {"kind", kind}}),
            static_cast<double>(waited.micros) / 1e6);
      }
      if (!tenant.plan.empty()) add(info, labelled(id, {{"plan", tenant.plan}}), 1);
    }
  }
  for (auto* one : {&memory, &disk, &instances, &pressure, &info}) families.push_back(std::move(*one));

  const auto health = ledger_.health();
  const auto own = [&families](const char* name, const char* help, MetricType type, double value) {
    auto one = family(name, help, type);
    add(one, {}, value);
    families.push_back(std::move(one));
  };
  own("cloister_metering_gap_seconds_total", "Time in which a reading is missing.", MetricType::Counter,
      approximate(health.gapMilliseconds) / 1e3);
  own("cloister_metering_counter_resets_total", "Kernel counters that went backwards.", MetricType::Counter,
      static_cast<double>(health.counterResets));
  own("cloister_metering_final_reads_missed_total", "Groups that ended without a last reading.", MetricType::Counter,
      static_cast<double>(health.finalReadsMissed));
  own("cloister_metering_refused_batches_total", "Batches that repeated a sequence with other content.",
      MetricType::Counter, static_cast<double>(health.refusedBatches));
  own("cloister_metering_ledger_lag_seconds", "Age of the newest window in the ledger.", MetricType::Gauge,
      health.latest == 0 ? 0 : static_cast<double>(std::max<std::int64_t>(at - health.latest, 0)) / 1e6);
  return families;
}

}  // namespace cloister::metering
