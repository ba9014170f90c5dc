#include "metering/base/migrations.h"

#include <utility>

namespace cloister::metering {

Status migrate(Connection& database, std::span<const char* const> steps) {
  for (;;) {
    // Without the lock of a writer: what is up to date already must open beside one.
    auto format = database.format();
    if (!format) return format.error();
    if (std::cmp_greater(*format, steps.size())) {
      auto error = database.error();
      error.operation = "format " + std::to_string(*format) + " is newer than this program, which knows " +
                        std::to_string(steps.size());
      error.code = 0;
      error.path = database.name();
      return error;
    }
    if (std::cmp_equal(*format, steps.size())) return {};

    Transaction transaction(database);
    if (auto begun = transaction.begin(); !begun) return begun;
    auto now = database.format();
    if (!now) return now.error();
    if (*now != *format) continue;
    if (auto made = database.exec(steps[static_cast<std::size_t>(*format)]); !made) return made;
    if (auto noted = database.setFormat(*format + 1); !noted) return noted;
    if (auto done = transaction.commit(); !done) return done;
  }
}

}  // namespace cloister::metering
