#include "metering/readings/reading.h"

#include "sandbox/base/counters.h"

namespace cloister::metering {

Moment now() {
  return {counters::bootNanos(), counters::utcMicros()};
}

}  // namespace cloister::metering
