// LedgerFailure: the ledger did not do what it was asked for; answered as 503 or 507 where asking again may help, and
// the log has the reason.
//
// Threads: values. Failures: none.
#pragma once

#include <stdexcept>

#include "sandbox/base/result.h"

namespace cloister::api {

class LedgerFailure : public std::runtime_error {
 public:
  explicit LedgerFailure(const Error& error) : std::runtime_error(error.message()), error_(error) {}
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

}  // namespace cloister::api
