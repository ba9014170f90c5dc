// What a verifier says of the hosts' seals in a tenant's rows, as a ledger would have them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "metering/base/encoding.h"
#include "metering/export/seal_check.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {

struct SealedRows {
  SealCounts counts;
  std::string finding;  // the first one
};

inline SealedRows sealedRows(const std::vector<UsageBatch>& batches, const std::string& tenantId = "tn-1",
                             const std::string& publicKey = hostKey().publicKey(), std::int64_t begin = 0) {
  SealedRows result;
  SealCheck check({publicKey});
  std::uint64_t number = 0;
  for (const auto& batch : batches) {
    check.source(batch.source);
    for (const auto& row : batch.rows) {
      if (row.tenantId != tenantId) continue;
      wire::Writer writer;
      putRow(writer, row);
      const auto finding = check.row(++number, row, writer.bytes());
      if (result.finding.empty()) result.finding = finding;
    }
  }
  const auto finding = check.end(begin);
  if (result.finding.empty()) result.finding = finding;
  result.counts = check.counts();
  return result;
}

}  // namespace cloister::metering
