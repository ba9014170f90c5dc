// An empty ledger's place, in the database that the test binary is for.
#pragma once

#include <memory>
#include <string>

namespace cloister::metering {

class LedgerPlace {
 public:
  virtual ~LedgerPlace() = default;
  [[nodiscard]] virtual std::string location() const = 0;
};

// Gone with the object. Each binary links one definition.
[[nodiscard]] std::unique_ptr<LedgerPlace> makeLedgerPlace();

}  // namespace cloister::metering
