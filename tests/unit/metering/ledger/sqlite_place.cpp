#include "tests/unit/metering/ledger/ledger_place.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

class SqlitePlace final : public LedgerPlace {
 public:
  [[nodiscard]] std::string location() const override { return scratch_.file("ledger.db"); }

 private:
  ScratchDirectory scratch_;
};

}  // namespace

std::unique_ptr<LedgerPlace> makeLedgerPlace() {
  return std::make_unique<SqlitePlace>();
}

}  // namespace cloister::metering
