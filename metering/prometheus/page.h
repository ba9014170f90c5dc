// TenantPage: what one scrape says of the tenants and of metering itself: a copy of the values, taken under the locks,
// and the writer of its text, which needs none.
//
//   cloister_tenant_*      a tenant's totals from the ledger and its levels; label `tenant` is the opaque id
//   cloister_metering_*    gap_seconds_total  resets_total  final_reads_missed_total  refused_batches_total
//                          bad_seals_total (since this process began)  ledger_lag_seconds  series_dropped
//                          reconciliation_difference_ratio{node,against} (of the last hour)
//   cloister_host_*        cpu_seconds_total  tenants_cpu_seconds_total: of a node's host; what is over is the system's
//
// The format wants the lines of a metric together, so the writer goes through all tenants once a metric. Names and
// labels that are the same for all are rendered at start, a tenant's own when they change; a scrape formats values only
// and hands the text over in blocks, so that no page is ever whole in memory.
// (Not counter_resets_total: promtool refuses a name with a type's in it.)
// Threads: not shared. Failures: none; a sink that answers false is not called again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metering/ledger/ledger.h"

namespace cloister::metering {

struct LiveLevels {
  std::uint64_t memoryBytes = 0;
  std::uint64_t diskBytes = 0;
  std::uint64_t instances = 0;
};

class TenantPage {
 public:
  // Takes a block of the page, a few hundred kilobytes at most; false: the reader is gone.
  using Sink = std::function<bool(std::string_view block)>;

  struct Text {  // in `labels`
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  struct Wait {
    Text labels;  // node, resource, kind
    std::uint64_t micros = 0;
  };
  struct Row {
    Text tenant;
    Text plan;             // empty: not known
    const Totals* totals;  // in `totals`, or kNothing
    bool live = false;     // else a tenant that is gone: only its totals are shown
    LiveLevels levels;
    std::size_t firstWait = 0;  // in `waits`
    std::size_t waits = 0;
  };
  static const Totals kNothing;

  TenantPage() = default;
  TenantPage(const TenantPage&) = delete;
  TenantPage& operator=(const TenantPage&) = delete;
  TenantPage(TenantPage&&) = default;
  TenantPage& operator=(TenantPage&&) = default;
  ~TenantPage() = default;

  [[nodiscard]] Text keep(std::string_view escaped);
  // Takes the row when the series of all rows together stay under `mostSeries`; after the first that does not fit,
  // none. Else drops its waits and counts what it would have shown.
  void add(const Row& row, std::size_t mostSeries);
  void write(const Sink& sink) const;

  std::vector<TenantTotals> totals;
  std::vector<Row> rows;
  std::vector<Wait> waits;
  std::string labels;
  std::int64_t at = 0;  // microseconds UTC
  bool known = true;    // false: the ledger was never read, and the page is empty
  LedgerHealth health;
  struct Host {
    const Totals* totals = nullptr;  // of its chain, in `totals`; null: none on record
    // How far the CPU billed to instances is over (or below) what the kernel counted, as a part of that, in the last
    // hour's batches; none: it counted nothing.
    std::optional<double> againstGroups;  // the tenants' own groups
    std::optional<double> againstHost;    // the group that all of them are in
  };
  std::map<std::string, Host> hosts;  // by node
  std::uint64_t badSeals = 0;

 private:
  std::size_t series_ = 0;
  std::size_t dropped_ = 0;
};

}  // namespace cloister::metering
