// Plausibility: whether what a host sent can have been measured there. The ledger is for ever and a bill rests on it,
// so what cannot be is kept out of it and noted as an anomaly.
//
// Bounds are far above what a machine does: they find forgery, broken clocks and broken counters, not small errors.
// Threads: pure. Failures: none; the reason why not, for people.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "metering/base/usage.h"

namespace cloister::metering {

// How far a host's clock may be ahead of ours.
inline constexpr std::int64_t kClockSkew = 300LL * 1'000'000;

struct HostBounds {
  std::uint64_t cores = 1024;
  std::uint64_t memoryBytes = 64ULL << 40U;
  std::uint64_t bytesPerSecond = 200'000'000'000;  // of a network or of disks
};

// A window that ends later than the clock's skew from `now`: it may become plausible.
[[nodiscard]] std::optional<std::string> endsInTheFuture(const UsageBatch& batch, std::int64_t now);

// `known`: whether a tenant is one of ours, also one that is gone.
[[nodiscard]] std::optional<std::string> implausible(const UsageBatch& batch, const HostBounds& bounds,
                                                     const std::function<bool(const std::string& tenantId)>& known);

}  // namespace cloister::metering
