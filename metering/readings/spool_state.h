// SpoolState: what metering on a node goes on from after a restart. The spool keeps it, the sampler moves it on.
//
// Sums of the open window stand with the readings that they follow from, in one value, so that neither can be stored
// without the other.
// Threads and failures: values.
#pragma once

#include <cstdint>
#include <string>

#include "metering/base/seal.h"
#include "metering/base/usage.h"
#include "metering/readings/accumulator.h"
#include "metering/readings/kept.h"

namespace cloister::metering {

// Whose usage it is; the fields are UsageRow's.
struct Owner {
  std::string tenantId;
  std::string appId{};
  std::string instanceId{};
  friend auto operator<=>(const Owner&, const Owner&) = default;
};

// One running group as the spool keeps it.
struct GroupState {
  Owner owner;
  std::string bootId;
  std::uint64_t cgroupInode = 0;
  Allocation allocation;
  Progress progress;
  std::int64_t lastUtcMicros = 0;    // calendar time of the last reading
  std::int64_t closedUtcMicros = 0;  // not 0: it was missing then, and its gap row is written; or finished
  bool finished = false;             // its last reading was then: it is counted, but perhaps not removed yet
  Sums sums{};                       // of the open window
  friend bool operator==(const GroupState&, const GroupState&) = default;
};

struct TenantCounters {
  std::string bootId;
  TrafficCounters bytes;  // last counter values
  std::uint64_t lastBootNanos = 0;
  std::uint64_t groupInode = 0;  // of its own group; 0: not seen yet
  std::uint64_t groupCpu = 0;    // nanoseconds, likewise
  Sums sums{};                   // of the open window
  // What the kernel counted before the first look is not this spool's to count: it may have been counted already.
  bool trafficBefore = false;
  bool groupBefore = false;
  friend bool operator==(const TenantCounters&, const TenantCounters&) = default;
};

// How the calendar stood to the boot clock at the last look: what moves between two looks is a step of the calendar.
struct ClockState {
  std::string bootId;  // empty: no look yet
  std::int64_t offsetMicros = 0;
  friend bool operator==(const ClockState&, const ClockState&) = default;
};

// CPU counters of the host at the last look.
struct HostState {
  std::string bootId;             // empty: no look yet
  std::uint64_t groupsInode = 0;  // as HostCpu has it
  std::uint64_t groupsNanos = 0;
  std::uint64_t totalNanos = 0;
  friend bool operator==(const HostState&, const HostState&) = default;
};

// What a row is keyed with.
struct AmountKey {
  Owner owner;
  Meter meter = Meter::cpu;
  std::string note;
  friend auto operator<=>(const AmountKey&, const AmountKey&) = default;
};

// The whole of what continues after a restart.
struct SpoolState {
  Kept<std::string, GroupState> groups;        // by group name (the launcher's container id)
  Kept<std::string, TenantCounters> networks;  // by tenant id
  Kept<std::string, Segment> segments;         // likewise; only those with rows
  std::int64_t windowFrom = 0;                 // 0: no window open yet
  Kept<AmountKey, std::uint64_t> amounts;      // of the open window, beside the former's sums
  ClockState clock;
  HostState host;

  // A commit of it succeeded.
  void stored() {
    groups.stored();
    networks.stored();
    segments.stored();
    amounts.stored();
  }
};

}  // namespace cloister::metering
