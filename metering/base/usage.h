// Usage: what a node measured for a tenant over a window, and the batch that carries it to the ledger.
//
// Quantities are unsigned integers in the meter's base unit; windows are [from, to) in microseconds since the epoch,
// UTC, measured on CLOCK_BOOTTIME and anchored once a batch. A batch has a sequence that its source never gives twice;
// the ledger takes (source, sequence) once and answers a repetition like the first time. A gap is a row, never a guess.
// Threads and failures: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::metering {

enum class Meter : std::uint8_t {
  cpu,                // nanoseconds
  cpuThrottled,       // nanoseconds
  memoryByteSeconds,  // byte-milliseconds of use, integrated
  memoryAllocated,    // byte-milliseconds of the instances' limits: from life-cycle events, exact
  memoryPeak,         // bytes; a level, not a sum: the highest of the window
  oomKills,           // count
  blockRead,          // bytes
  blockWritten,       // bytes
  networkExternalIn,  // bytes, as the tenant sees it
  networkExternalOut,
  networkInternalIn,
  networkInternalOut,
  diskByteSeconds,  // byte-milliseconds of the writable uppers
  instanceSeconds,  // milliseconds of running instances
  pidsPeak,         // count; a level
  gap,              // milliseconds in which a reading is missing; `note` says why
  lifecycle,        // one; `note` says what changed: "plan small -> large" (lifecycle.h)
  groupCpu,         // nanoseconds of the tenant's own group, which outlives its instances': what their sum must be
  blockReads,       // operations
  blockWrites,
  cpuThrottles,    // periods in which the CPU limit held work back
  pidsRefused,     // forks that the limit of processes refused
  diskFull,        // readings, one a second and a last one, that found the writable disk full
  networkDropped,  // packets over the tenant's rate
  instanceState,   // one; `note` as of lifecycle: "instance - -> running/MEMORY LIMIT"; `from` is the moment
  hostCpu,         // nanoseconds of the whole host (hostChain())
  seal,            // rows before it, of its source and tenant, that a host's seal covers; `note` is the seal (seal.h)
  imageStorage,    // byte-milliseconds of the images and layers that the tenant's releases keep
};
inline constexpr Meter kLastMeter = Meter::imageStorage;
inline constexpr std::size_t kMeters = static_cast<std::size_t>(kLastMeter) + 1;

// Name and unit as the API, the exports and the database write them: "cpu", "ns" ...
[[nodiscard]] const char* meterName(Meter);
[[nodiscard]] const char* meterUnit(Meter);
[[nodiscard]] bool meterFromName(const std::string& name, Meter& meter);
// Levels are combined by maximum, all others by addition.
[[nodiscard]] bool isLevel(Meter);
// What can have a price: neither levels, nor hits of limits, nor what says something about the metering.
[[nodiscard]] bool isBillable(Meter);
// What a list of usage leaves out unless it is asked for: changes of state, and what is there to be compared with.
[[nodiscard]] bool isRecord(Meter);

// A node's rows about its host as a whole (hostCpu, and groupCpu of all tenants' groups with those that are gone) have
// a chain of their own, under a name that no tenant's id has.
[[nodiscard]] std::string hostChain(const std::string& source);
[[nodiscard]] bool isHostChain(std::string_view tenantId);
[[nodiscard]] std::string hostOfChain(const std::string& tenantId);  // the source

// Reasons of gap rows; the ledger counts them by these texts.
namespace gap {
inline constexpr const char* kCounterReset = "counter went backwards";
inline constexpr const char* kNotRead = "memory or disk not read";
inline constexpr const char* kVanished = "group gone without a final reading";
inline constexpr const char* kRestarted = "host restarted without a final reading";
inline constexpr const char* kUnreadable = "final reading failed";
inline constexpr const char* kUnknownPast = "no earlier reading of a running group";
inline constexpr const char* kUnknownBirth = "begin of a running group not seen";
}  // namespace gap

struct UsageRow {
  std::string tenantId;
  std::string appId;       // empty: the tenant itself (network), or a build
  std::string instanceId;  // empty: all of the tenant
  Meter meter = Meter::cpu;
  std::uint64_t quantity = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string note;  // gap: the reason; lifecycle: the change; seal: the seal; else empty
};

struct UsageBatch {
  std::string source;          // the node's name
  std::uint64_t sequence = 0;  // 1, 2, 3 ... for ever
  std::string bootId;
  std::vector<UsageRow> rows;
};

}  // namespace cloister::metering
