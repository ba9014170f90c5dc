// bench_ledger: rows a second into the ledger, with its chain, on SQLite and on a PostgreSQL server of its own, each
// beside a floor that writes the same rows without chain, names, heads or spans; then the verification of every chain.
// Contestants take turns round by round, so that a noisy machine is noisy for all. Both databases sync every commit.
//
//   bench_ledger ROUNDS BATCHES     BATCHES of 1,000 rows a round
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "metering/base/sql.h"
#include "metering/ledger/ledger.h"
#include "tests/bench/scratch.h"
#include "tests/integration/metering/postgres_server.h"

namespace {

using namespace cloister;
using namespace cloister::metering;
using bench::good;
using bench::Scratch;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kRowsPerBatch = 1000;
constexpr std::uint64_t kTenants = 100;
constexpr std::uint64_t kMetersUsed = 16;
constexpr std::uint64_t kWindowsAnInstanceLives = 20;

// As a node's spool cuts them: window by window, tenant by tenant, a row a meter.
class Rows {
 public:
  UsageBatch next() {
    UsageBatch batch{"nd-01J8ZQ4W5R", ++sequence_, "6f1ad2a0-4b5e-4b0c-9a43-0f2f5a9c7d11", {}};
    batch.rows.reserve(kRowsPerBatch);
    for (; batch.rows.size() < kRowsPerBatch; ++row_) {
      const auto tenant = row_ / kMetersUsed % kTenants;
      const auto window = static_cast<std::int64_t>(row_ / kMetersUsed / kTenants);
      const auto life = static_cast<std::uint64_t>(window) / kWindowsAnInstanceLives;
      const auto name = std::to_string(1'000'000 + tenant);
      batch.rows.push_back({"tn-01J8ZQ" + name, "ap-01J8ZQ" + name, "in-01J8ZQ" + name + "-" + std::to_string(life),
                            static_cast<Meter>(row_ % kMetersUsed), row_ * 7919, window * 10'000'000,
                            (window + 1) * 10'000'000, ""});
    }
    return batch;
  }

 private:
  std::uint64_t sequence_ = 0;
  std::uint64_t row_ = 0;
};

// The same rows in batches, and nothing else.
class Floor {
 public:
  explicit Floor(const std::string& location) : database_(good(Connection::open(location, "floor"))) {
    good(database_.exec(
        "CREATE TABLE plain(id {key}, tenant {text} NOT NULL, app {text} NOT NULL, instance {text} NOT NULL, "
        "meter BIGINT NOT NULL, quantity BIGINT NOT NULL, window_from BIGINT NOT NULL, window_to BIGINT NOT NULL)"));
    rows_ = good(database_.bulk(
        {"plain", {"id", "tenant", "app", "instance", "meter", "quantity", "window_from", "window_to"}, 0}));
  }
  void append(const UsageBatch& batch) {
    Transaction transaction(database_);
    good(transaction.begin());
    for (const auto& row : batch.rows) {
      rows_.bind(1, ++id_).bind(2, std::string_view(row.tenantId)).bind(3, std::string_view(row.appId));
      rows_.bind(4, std::string_view(row.instanceId)).bind(5, static_cast<std::int64_t>(row.meter));
      if (!rows_.bind(6, row.quantity).bind(7, row.from).bind(8, row.to).add()) good(Status(database_.error()));
    }
    if (!rows_.flush()) good(Status(database_.error()));
    good(transaction.commit());
  }

 private:
  Connection database_;
  Bulk rows_;
  std::uint64_t id_ = 0;
};

struct Contestant {
  std::string name;
  std::function<void(const UsageBatch&)> append;
  Rows rows{};
  std::vector<double> rates{};
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double rate(std::uint64_t rows, Clock::time_point began) {
  return static_cast<double>(rows) / std::chrono::duration<double>(Clock::now() - began).count();
}

void print(const std::string& name, const std::vector<double>& rates, double floor) {
  const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
  std::printf("%-28s %9.0f %9.0f %9.0f", name.c_str(), median(rates), *least, *most);
  std::printf(floor > 0 ? "   %5.2f\n" : "\n", median(rates) / floor);
}

void appendRound(Contestant& contestant, unsigned batches) {
  std::vector<UsageBatch> made;
  for (unsigned i = 0; i < batches; ++i) made.push_back(contestant.rows.next());
  const auto began = Clock::now();
  for (const auto& batch : made) contestant.append(batch);
  contestant.rates.push_back(rate(batches * kRowsPerBatch, began));
}

double verifyAll(Ledger& ledger) {
  std::uint64_t rows = 0;
  const auto began = Clock::now();
  for (const auto& tenant : ledger.totals()) {
    const auto verified = good(ledger.verify(tenant.tenantId));
    if (!verified.whole()) throw std::runtime_error(tenant.tenantId + ": " + verified.reason);
    rows += verified.rows;
  }
  return rate(rows, began);
}

void run(unsigned rounds, unsigned batches) {
  const Scratch scratch;
  std::optional<test::PostgresServer> server;
  if (!test::PostgresServer::binaries().empty()) server.emplace();
  const auto addAppender = [](std::vector<Contestant>& all, const std::string& name, Ledger& ledger) {
    all.push_back({name, [&ledger](const UsageBatch& batch) {
                     if (good(ledger.append(batch, 1)) != Appended::recorded) throw std::runtime_error("not recorded");
                   }});
  };
  std::vector<Contestant> all;
  Floor sqliteFloor(scratch.path() + "/floor.db");
  const auto sqlite = good(Ledger::open(scratch.path() + "/ledger.db"));
  all.push_back({"SQLite floor", [&](const UsageBatch& batch) { sqliteFloor.append(batch); }});
  addAppender(all, "SQLite ledger", *sqlite);
  std::optional<Floor> postgresFloor;
  std::unique_ptr<Ledger> postgres;
  if (server) {
    postgresFloor.emplace(server->location(server->createPlace()));
    postgres = good(Ledger::open(server->location(server->createPlace())));
    all.push_back({"PostgreSQL floor", [&](const UsageBatch& batch) { postgresFloor->append(batch); }});
    addAppender(all, "PostgreSQL ledger", *postgres);
  } else {
    std::puts("PostgreSQL is absent: no server is installed");
  }
  for (unsigned round = 0; round <= rounds; ++round) {
    for (auto& contestant : all) appendRound(contestant, batches);
    if (round > 0) continue;
    for (auto& contestant : all) contestant.rates.clear();  // the first round warms up
  }
  std::printf("rows a second appended, batches of %zu, %u interleaved rounds of %u batches\n", kRowsPerBatch, rounds,
              batches);
  std::printf("%-28s %9s %9s %9s   %5s\n", "", "median", "least", "most", "floor");
  for (std::size_t i = 0; i < all.size(); ++i) {
    print(all[i].name, all[i].rates, i % 2 == 0 ? 0 : median(all[i - 1].rates));
  }

  std::vector<std::vector<double>> rates(2);
  for (unsigned round = 0; round < std::min(rounds, 5U); ++round) {
    rates[0].push_back(verifyAll(*sqlite));
    if (postgres) rates[1].push_back(verifyAll(*postgres));
  }
  std::printf("\nrows a second verified, every chain of %u rows in all\n", (rounds + 1) * batches * 1000);
  print("SQLite", rates[0], 0);
  if (postgres) print("PostgreSQL", rates[1], 0);
}

bool number(const char* text, unsigned& out) {
  const std::string_view view(text);
  return std::from_chars(view.data(), view.data() + view.size(), out).ec == std::errc{} && out > 0 && out <= 1000;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned rounds = 0;
  unsigned batches = 0;
  if (argc != 3 || !number(argv[1], rounds) || !number(argv[2], batches)) {
    std::fputs("usage: bench_ledger ROUNDS BATCHES   (1 to 1000 each)\n", stderr);
    return 2;
  }
  try {
    run(rounds, batches);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_ledger: %s\n", error.what());
    return 1;
  }
}
