#include "tests/bench/metrics_world.h"

#include <algorithm>
#include <array>
#include <random>
#include <stdexcept>

#include "sandbox/base/counters.h"

namespace cloister::bench {
namespace {

using metering::Meter;

constexpr int kTenantsABatch = 500;
constexpr std::int64_t kWindow = 10'000'000;

std::string tenantId(int number) {
  auto digits = std::to_string(number);
  return "tn-1jc6f0v3k2p" + std::string(8 - digits.size(), '0') + digits;  // as long as the store's ids
}

metering::UsageBatch batchOf(std::uint64_t sequence, int first, int last, const auto& rowsOf) {
  metering::UsageBatch batch{"nd-1", sequence, "boot", {}};
  for (int i = first; i < last; ++i) rowsOf(tenantId(i), batch.rows);
  return batch;
}

}  // namespace

std::unique_ptr<metering::Ledger> openLedger(const std::string& path) {
  auto ledger = metering::Ledger::open(path);
  if (!ledger) throw std::runtime_error(ledger.error().message());
  return std::move(ledger).value();
}

void fillLedger(const std::string& path, int tenants) {
  constexpr std::array kMeters = {Meter::cpu,
                                  Meter::cpuThrottled,
                                  Meter::memoryByteSeconds,
                                  Meter::memoryAllocated,
                                  Meter::memoryPeak,
                                  Meter::oomKills,
                                  Meter::blockRead,
                                  Meter::blockWritten,
                                  Meter::networkExternalIn,
                                  Meter::networkExternalOut,
                                  Meter::networkInternalIn,
                                  Meter::networkInternalOut,
                                  Meter::instanceSeconds};
  const auto ledger = openLedger(path);
  const auto now = counters::utcMicros();
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::uint64_t> quantity(1'000'000'000'000, 9'000'000'000'000'000);
  std::uint64_t sequence = 0;
  for (int first = 0; first < tenants; first += kTenantsABatch) {
    const auto batch =
        batchOf(++sequence, first, std::min(first + kTenantsABatch, tenants), [&](const auto& id, auto& rows) {
          for (const auto meter : kMeters)
            rows.push_back({id, "ap-1", "in-1", meter, quantity(random), now - kWindow, now, ""});
        });
    const auto appended = ledger->append(batch, now);
    if (!appended) throw std::runtime_error(appended.error().message());
  }
}

void announce(metering::Exposition& exposition, int tenants) {
  const auto now = counters::utcMicros();
  exposition.observe(batchOf(1, 0, tenants, [now](const auto& id, auto& rows) {
    const auto row = [&](Meter meter, std::uint64_t amount) {
      rows.push_back({id, "ap-1", "in-1", meter, amount, now - kWindow, now, ""});
    };
    row(Meter::memoryByteSeconds, 123'456'789'000'000);
    row(Meter::diskByteSeconds, 98'765'432'100'000);
    row(Meter::instanceSeconds, 30'000);
    row(Meter::cpuThrottled, 5'000'000);
  }));
  for (int i = 0; i < tenants; ++i) {
    exposition.setPlan(tenantId(i), "small");
    exposition.setPressure("nd-1jc6f0v3k2p00000001", tenantId(i), {"cpu", "some", 123'456'789});
  }
}

}  // namespace cloister::bench
