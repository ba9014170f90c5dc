// LifecycleEvent: a change of what a tenant is billed for by time, as a row of the ledger.
//
// The control plane is a source of its own ("cloisterd"), a batch an event, the sequence being the event's number: so a
// plan's fee rests on rows that are in the tenant's chain, as usage is. The note of such a row is
// "WHAT PREVIOUS -> CURRENT", with "-" for none; both are labels and have no blank.
// Threads: pure functions. Failures: parse gives nothing for another form.
#pragma once

#include <optional>
#include <string>

#include "metering/base/usage.h"

namespace cloister::metering {

// A node's source is its name; no node may have this one, and no node's batch may have it or a lifecycle row.
inline constexpr const char* kControlPlane = "cloisterd";

struct LifecycleEvent {
  std::uint64_t number = 0;  // of the source, never given twice
  std::int64_t at = 0;
  std::string tenantId;
  std::string what;      // "plan" or "state"
  std::string previous;  // empty: none
  std::string current;
  friend bool operator==(const LifecycleEvent&, const LifecycleEvent&) = default;
};

[[nodiscard]] UsageBatch batchOf(const LifecycleEvent& event);
// "WHAT PREVIOUS -> CURRENT".
[[nodiscard]] std::string lifecycleNote(const std::string& what, const std::string& previous,
                                        const std::string& current);
// The note's parts; tenant, number and moment are the row's.
[[nodiscard]] std::optional<LifecycleEvent> parseLifecycle(const std::string& note);

}  // namespace cloister::metering
