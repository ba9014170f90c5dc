// UsageBatch as the body of POST /node/v1/usage.
//
//   {"source": "nd-1", "sequence": "7", "bootId": "...", "rows": [{"tenant": "tn-1", "app": "ap-1", "instance": "in-1",
//    "meter": "cpu", "quantity": "1000", "from": "1700000000000000", "to": "1700000010000000", "note": ""}]}
//
// Integers are written as decimal strings, so that no JSON reader rounds them; JSON integers below 2^63 are read as
// well. "app", "instance" and "note" may be absent. Any other absence, an unknown or doubled field, a wrong type, a
// number that is negative, fractional or too large, from >= to, more than kMaxRows rows or a string above kMaxText
// bytes is refused. Threads: pure functions. Failures: Error{stage "usage", operation = the reason, path = the field
// ("rows[3].meter")}.
#pragma once

#include <string>

#include "metering/base/usage.h"
#include "sandbox/base/result.h"

namespace cloister::metering {

inline constexpr std::size_t kMaxRows = 10'000;
inline constexpr std::size_t kMaxText = 256;

[[nodiscard]] std::string toJson(const UsageBatch& batch);
[[nodiscard]] Result<UsageBatch> usageBatchFromJson(const std::string& text);

}  // namespace cloister::metering
