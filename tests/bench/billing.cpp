// bench_billing: how long it takes to close a month for many tenants, and how fast a statement is written and verified.
//
//   bench_billing DIRECTORY TENANTS ROWS     ROWS: of each tenant; and 500 times as many of the one with a statement
//
// The floor of closing is one SQL sum over the same rows. Verification is what a tenant's own machine does: text,
// hashes, the host's seal of each hour, the file's and the month rated again. Fails when a statement does not hold.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "metering/base/seal.h"
#include "metering/base/sql.h"
#include "metering/billing/billing.h"
#include "metering/export/verify.h"
#include "metering/ledger/ledger.h"
#include "tests/bench/scratch.h"

namespace {

using namespace cloister;
using namespace cloister::metering;
using bench::good;
using Clock = std::chrono::steady_clock;

constexpr unsigned kStatementShare = 500;
constexpr std::size_t kRowsABatch = 1000;
constexpr double kMostOfFirst = 0.5;
constexpr std::uint64_t kRowsAnHour = 5 * 360;
constexpr const char* kLarge = "tn-large";
const Period kMonth = *parseMonth("2026-01");

// Of this process: what a commit waits for the disk says nothing of what was read.
double cpuSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

SigningKey hostKey() {
  return good(SigningKey::fromSeed(std::string(32, 'h')));
}

// Rows as nodes send them: five meters that have prices, windows of ten seconds in order of time; those of the one with
// a statement under the host's seals.
class Feeder {
 public:
  explicit Feeder(Ledger& ledger) : ledger_(ledger) {}
  void row(const std::string& tenant, unsigned i) {
    static constexpr Meter kMeters[] = {Meter::cpu, Meter::memoryAllocated, Meter::networkExternalOut,
                                        Meter::diskByteSeconds, Meter::instanceSeconds};
    const auto from = kMonth.from + i / 5 * 10 * kSecond;
    batch_.rows.push_back({tenant, "ap-" + std::to_string(i % 2), "in-1", kMeters[i % 5], 123'456'789U + i, from,
                           from + 10 * kSecond, ""});
    if (tenant == kLarge) cover(sha_, segment_, batch_.rows.back());
    if (segment_.rows == kRowsAnHour) {
      batch_.rows.push_back(sealRow(key_, "nd-1", tenant, segment_));
      segment_ = {};
    }
    if (batch_.rows.size() >= kRowsABatch) flush();
  }
  void flush() {
    if (batch_.rows.empty()) return;
    batch_.source = "nd-1";
    batch_.bootId = "boot";
    ++batch_.sequence;
    (void)good(ledger_.append(batch_, kMonth.to));
    batch_.rows.clear();
  }

 private:
  Ledger& ledger_;
  SigningKey key_ = hostKey();
  Sha256 sha_;
  Segment segment_;
  UsageBatch batch_;
};

PriceList prices() {
  PriceList list;
  list.name = "2026";
  list.from = kMonth.from;
  list.currency = "EUR";
  list.items = {{"cpu", Meter::cpu, "core-hour", 10, {{1000, 12'000'000}, {kNoEnd, 9'000'000}}},
                {"memory", Meter::memoryAllocated, "gib-hour", 0, {{kNoEnd, 4'000'000}}},
                {"out", Meter::networkExternalOut, "gb", 100, {{kNoEnd, 50'000'000}}},
                {"disk", Meter::diskByteSeconds, "gib-hour", 0, {{kNoEnd, 200'000}}},
                {"instance", Meter::instanceSeconds, "instance-hour", 0, {{kNoEnd, 1'000'000}}}};
  list.taxes = {{"VAT", 190'000}};
  return list;
}

// Seconds of CPU that it took to sum the hours.
double closeMonth(Billing& billing, const std::string& location, std::uint64_t rows) {
  auto sql = good(Connection::open(location, "bench", Connection::Mode::readOnly));
  auto begin = Clock::now();
  auto sum =
      good(sql.prepare("SELECT COUNT(*) FROM (SELECT tenant, app, meter, SUM(quantity) FROM rows"
                       " GROUP BY tenant, app, meter) s"));
  if (sum.step() != Statement::Step::row) throw std::runtime_error("the floor's sum failed");
  const double floor = secondsSince(begin);
  begin = Clock::now();
  const double cpu = cpuSeconds();
  good(billing.rollUp());
  const double summing = cpuSeconds() - cpu;
  const double rolled = secondsSince(begin);
  const auto closing = good(billing.close(kMonth, {}, kMonth.to));
  std::printf(
      "closing a month: %zu tenants, %llu rows: %.2f s, of them %.2f s to sum the hours (one SQL sum: %.2f s)\n",
      closing.closed, static_cast<unsigned long long>(rows), secondsSince(begin), rolled, floor);
  return summing;
}

// What is summed already is not read again: this happens each minute, in ledgers of years.
void sumMore(Billing& billing, Feeder& feeder, unsigned tenants, unsigned rows, double first) {
  for (unsigned tenant = 0; tenant < tenants; ++tenant) feeder.row("tn-" + std::to_string(tenant), rows);
  feeder.flush();
  const double begin = cpuSeconds();
  good(billing.rollUp());
  const double more = cpuSeconds() - begin;
  std::printf("a row more of each tenant: %.3f s of CPU to sum them, %.2f of what it took to sum all\n", more,
              more / first);
  if (more > first * kMostOfFirst) throw std::runtime_error("summing new rows reads old ones again");
}

void statement(Billing& billing) {
  const auto invoice = good(billing.invoice(invoiceId(kLarge, kMonth)));
  if (!invoice) throw std::runtime_error("no invoice");
  const auto key = good(SigningKey::fromSeed(std::string(32, 'k')));
  std::string file;
  auto begin = Clock::now();
  good(billing.statement(*invoice, key, {{"nd-1", hostKey().publicKey(), 0}},
                         [&file](std::string_view text) { file += text; }));
  const double written = secondsSince(begin);
  std::size_t at = 0;
  begin = Clock::now();
  const auto report = verifyStatement(
      [&](std::string& line) {
        if (at >= file.size()) return false;
        const auto end = file.find('\n', at);
        line.assign(file, at, end - at);
        at = end + 1;
        return true;
      },
      key.publicKey());
  const double verified = secondsSince(begin);
  if (!report.holds()) throw std::runtime_error(report.finding);
  if (report.seals.sealed + kRowsAnHour <= report.rows - report.seals.seals)
    throw std::runtime_error("rows are not under seals");
  const auto rate = [&](double seconds) { return static_cast<double>(report.rows) / seconds; };
  std::printf(
      "statement of %llu rows, %llu of them under seals, %.0f bytes a row: written at %.0f rows/s, verified at %.0f "
      "rows/s\n",
      static_cast<unsigned long long>(report.rows), static_cast<unsigned long long>(report.seals.sealed),
      static_cast<double>(file.size()) / static_cast<double>(report.rows), rate(written), rate(verified));
}

int run(const std::string& directory, unsigned tenants, unsigned rows) {
  const std::string location = directory + "/ledger.db";
  const auto ledger = good(Ledger::open(location));
  const auto billing = good(Billing::open(location));
  good(billing->addPriceList(prices()));
  Feeder feeder(*ledger);
  const auto begin = Clock::now();
  for (unsigned tenant = 0; tenant < tenants; ++tenant) {
    for (unsigned i = 0; i < rows; ++i) feeder.row("tn-" + std::to_string(tenant), i);
  }
  for (unsigned i = 0; i < rows * kStatementShare; ++i) feeder.row(kLarge, i);
  feeder.flush();
  const auto all = std::uint64_t{rows} * (tenants + kStatementShare);
  std::printf("appended %llu rows: %.0f rows/s\n", static_cast<unsigned long long>(all),
              static_cast<double>(all) / secondsSince(begin));
  const double summed = closeMonth(*billing, location, all);
  sumMore(*billing, feeder, tenants, rows, summed);
  statement(*billing);
  return 0;
}

bool parse(const char* text, unsigned& number) {
  const std::string word = text;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size() && number >= 1 && number <= 100'000;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned tenants = 0;
  unsigned rows = 0;
  if (argc != 4 || !parse(argv[2], tenants) || !parse(argv[3], rows)) {
    std::fputs("usage: bench_billing DIRECTORY TENANTS ROWS   (1 to 100000 each)\n", stderr);
    return 2;
  }
  try {
    return run(argv[1], tenants, rows);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_billing: %s\n", error.what());
    return 1;
  }
}
