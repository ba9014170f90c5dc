// What the control plane itself has on record of a tenant, as rows of the ledger: LifecycleEvent, a change of what is
// billed by time, and what the tenant's images take.
//
// The control plane is a source of its own ("cloisterd"): so a plan's fee rests on rows that are in the tenant's chain,
// as usage is. The note of a life-cycle row is "WHAT PREVIOUS -> CURRENT", with "-" for none; both are labels and have
// no blank.
// Threads: pure functions. Failures: parse gives nothing for another form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metering/base/usage.h"

namespace cloister::metering {

// A node's source is its name; no node may have this one, and no node's batch a row of its meters.
inline constexpr const char* kControlPlane = "cloisterd";
[[nodiscard]] constexpr bool isControlPlanes(Meter meter) {
  return meter == Meter::lifecycle || meter == Meter::imageStorage;
}

struct LifecycleEvent {
  std::int64_t at = 0;
  std::string tenantId;
  std::string what;      // "plan" or "state"
  std::string previous;  // empty: none
  std::string current;
  friend bool operator==(const LifecycleEvent&, const LifecycleEvent&) = default;
};

[[nodiscard]] UsageRow rowOf(const LifecycleEvent& event);
// `sequence` is never given twice.
[[nodiscard]] UsageBatch controlPlaneBatch(std::uint64_t sequence, std::vector<UsageRow> rows);
// "WHAT PREVIOUS -> CURRENT".
[[nodiscard]] std::string lifecycleNote(const std::string& what, const std::string& previous,
                                        const std::string& current);
// The note's parts; tenant, number and moment are the row's.
[[nodiscard]] std::optional<LifecycleEvent> parseLifecycle(const std::string& note);

// `bytes` of images from one moment to another, both whole milliseconds: a row for each hour that it touches, for an
// hour is what is rated. None without bytes or time.
[[nodiscard]] std::vector<UsageRow> imageStorageRows(const std::string& tenantId, std::uint64_t bytes,
                                                     std::int64_t from, std::int64_t to);

}  // namespace cloister::metering
