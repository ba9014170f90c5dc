// The bytes of what the spool keeps between two lives of a node.
//
// Each begins with a version byte; older versions are read. Threads: pure functions. Failures: decode() returns false
// on anything but exact bytes.
#pragma once

#include <string>
#include <string_view>

#include "metering/readings/spool_state.h"

namespace cloister::metering {

[[nodiscard]] std::string encode(const GroupState& state);
[[nodiscard]] bool decode(std::string_view bytes, GroupState& state);
[[nodiscard]] std::string encode(const TenantCounters& state);
[[nodiscard]] bool decode(std::string_view bytes, TenantCounters& state);
[[nodiscard]] std::string encode(const HostState& state);
[[nodiscard]] bool decode(std::string_view bytes, HostState& state);
[[nodiscard]] std::string encode(const AmountKey& key);
[[nodiscard]] bool decode(std::string_view bytes, AmountKey& key);
[[nodiscard]] std::string encode(const Segment& segment);
[[nodiscard]] bool decode(std::string_view bytes, Segment& segment);

}  // namespace cloister::metering
