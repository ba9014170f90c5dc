#include <gtest/gtest.h>

#include "tests/integration/metering/postgres_server.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {
namespace {

class PostgresPlace final : public LedgerPlace {
 public:
  [[nodiscard]] std::string location() const override { return test::sharedPostgres().location(name_); }

 private:
  std::string name_ = test::sharedPostgres().createPlace();
};

}  // namespace

std::unique_ptr<LedgerPlace> makeLedgerPlace() {
  return std::make_unique<PostgresPlace>();
}

}  // namespace cloister::metering
