// Encoding: the bytes of usage rows and of the spool's states, little-endian as wire.h writes them.
//
// putRow() is part of the ledger's canonical encoding (ledger.h): it never changes. The states begin with a version
// byte. Threads: pure functions. Failures: get*() return false (or leave the reader failed) on anything but exact
// bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "metering/base/usage.h"
#include "metering/readings/spool.h"
#include "sandbox/base/wire.h"

namespace cloister::metering {

// str tenant, str app, str instance, u8 meter, u64 quantity, i64 from, i64 to, str note
void putRow(wire::Writer& writer, const UsageRow& row);
[[nodiscard]] UsageRow getRow(wire::Reader& reader);

[[nodiscard]] std::string encodeRows(const std::vector<UsageRow>& rows);
[[nodiscard]] bool decodeRows(std::string_view bytes, std::vector<UsageRow>& rows);

[[nodiscard]] std::string encode(const GroupState& state);
[[nodiscard]] bool decode(std::string_view bytes, GroupState& state);
[[nodiscard]] std::string encode(const TenantCounters& state);
[[nodiscard]] bool decode(std::string_view bytes, TenantCounters& state);
[[nodiscard]] std::string encode(const AmountKey& key);
[[nodiscard]] bool decode(std::string_view bytes, AmountKey& key);

}  // namespace cloister::metering
