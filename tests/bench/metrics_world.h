// A ledger and an exposition of many tenants with 20 series each, for the benchmark and the scrape by Prometheus.
//
// Threads: one. Failures: std::runtime_error.
#pragma once

#include <memory>
#include <string>

#include "metering/prometheus/exposition.h"

namespace cloister::bench {

inline constexpr int kSeriesOfATenant = 25;

// Quantities of months of use, so that the digits are as many as in earnest.
void fillLedger(const std::string& path, int tenants);
[[nodiscard]] std::unique_ptr<metering::Ledger> openLedger(const std::string& path);
// Plans, levels of a window that has just ended, one waiting time a tenant.
void announce(metering::Exposition& exposition, int tenants);

}  // namespace cloister::bench
