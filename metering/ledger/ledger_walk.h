// The verification of a tenant's chain: recomputed from its first row, its end and its sums compared with the head.
// Part of Ledger; others call Ledger::verify().
//
// Threads: the caller holds the connection's mutex and an open snapshot. Failures: the connection's Error; ECANCELED
// when the progress ended it.
#pragma once

#include <string>

#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"

namespace cloister::metering {

struct WalkStatements {
  Statement head;
  Statement rows;
  Statement batches;
  Statement names;
};

// Keeps its statements for the next chain: preparing them costs as much as reading hundreds of rows.
class ChainWalk {
 public:
  explicit ChainWalk(Connection& database) : database_(database) {}
  [[nodiscard]] Result<Verification> run(const std::string& tenantId, const VerifyProgress& progress);

 private:
  [[nodiscard]] Status prepare();

  Connection& database_;
  bool prepared_ = false;
  WalkStatements statements_;
};

}  // namespace cloister::metering
