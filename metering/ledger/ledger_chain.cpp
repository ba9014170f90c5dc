#include "metering/ledger/ledger_chain.h"

#include <algorithm>

#include "metering/base/encoding.h"

namespace cloister::metering {

std::string_view view(const Hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

bool toHash(std::string_view bytes, Hash& hash) {
  if (bytes.size() != hash.size()) return false;
  std::copy(bytes.begin(), bytes.end(), hash.begin());
  return true;
}

std::string encodeTotals(const Totals& totals) {
  wire::Writer writer;
  for (const auto quantity : totals) {
    writer.put(static_cast<std::uint64_t>(quantity));
    writer.put(static_cast<std::uint64_t>(quantity >> 64U));
  }
  return writer.bytes();
}

// A ledger from before a meter was added has shorter totals: the new ones are zero.
bool decodeTotals(std::string_view bytes, Totals& totals) {
  if (bytes.size() % 16 != 0 || bytes.size() > totals.size() * 16) return false;
  wire::Reader reader(bytes);
  totals = {};
  for (std::size_t i = 0; i < bytes.size() / 16; ++i) {
    const auto low = reader.get<std::uint64_t>();
    totals[i] = (Quantity{reader.get<std::uint64_t>()} << 64U) | low;
  }
  return reader.finish();
}

void addTo(Totals& totals, Meter meter, std::uint64_t quantity) {
  auto& total = totals.at(static_cast<std::size_t>(meter));
  if (isLevel(meter)) {
    total = std::max<Quantity>(total, quantity);
  } else {
    total += quantity;
  }
}

std::string batchPart(std::string_view source, std::uint64_t sequence, std::string_view bootId) {
  wire::Writer writer;
  writer.put(source);
  writer.put(sequence);
  writer.put(bootId);
  return writer.bytes();
}

Hash rowHash(Sha256& sha, const Hash& previous, std::uint64_t number, std::string_view batch, std::string_view row) {
  wire::Writer front;
  front.put(kChainEncoding);
  front.put(number);
  return sha.begin().add(view(previous)).add(front.bytes()).add(batch).add(row).end();
}

Result<Verification> walkChain(Sqlite& database, const std::string& tenantId) {
  Verification result;
  Head head;
  auto end = database.prepare(
      "SELECT tenant, rows, hash, totals FROM heads "
      "WHERE tenant = (SELECT id FROM names WHERE text = ?)");
  if (!end) return end.error();
  const auto found = end->bind(1, std::string_view(tenantId)).step();
  if (found == Statement::Step::failed) return database.error();
  if (found == Statement::Step::row) {
    head.id = end->integer(0);
    head.rows = end->bits(1);
    if (!toHash(end->bytes(2), head.hash) || !decodeTotals(end->bytes(3), head.totals)) {
      return Verification{0, 1, "the head is damaged"};
    }
  }
  end->reset();
  auto rows = database.prepare(
      // A name that is gone must not look like the empty one.
      "SELECT r.number, COALESCE(a.text, x'ff'), COALESCE(i.text, x'ff'), r.meter, r.quantity, r.window_from, "
      "r.window_to, COALESCE(n.text, x'ff'), r.hash, s.text, b.sequence, COALESCE(o.text, x'ff') FROM rows r LEFT "
      "JOIN names a ON a.id = r.app LEFT JOIN names i ON i.id = r.instance "
      "LEFT JOIN names n ON n.id = r.note LEFT JOIN batches b ON b.id = r.batch LEFT JOIN names s ON s.id = b.source "
      "LEFT JOIN names o ON o.id = b.boot WHERE r.tenant = ? ORDER BY r.number");
  if (!rows) return rows.error();
  rows->bind(1, head.id);
  Sha256 sha;
  Hash previous{};
  Totals sums{};
  Statement::Step step{};
  while ((step = rows->step()) == Statement::Step::row) {
    const auto number = result.rows + 1;
    const auto bad = [&](const char* reason) { return Verification{result.rows, number, reason}; };
    if (rows->bits(0) != number) return bad("the row is missing");
    const auto meter = rows->integer(3);
    if (meter < 0 || meter > static_cast<std::int64_t>(kLastMeter)) return bad("the row's meter is unknown");
    const UsageRow row{tenantId,
                       std::string(rows->bytes(1)),
                       std::string(rows->bytes(2)),
                       static_cast<Meter>(meter),
                       rows->bits(4),
                       rows->integer(5),
                       rows->integer(6),
                       std::string(rows->bytes(7))};
    wire::Writer writer;
    putRow(writer, row);
    const auto hash =
        rowHash(sha, previous, number, batchPart(rows->bytes(9), rows->bits(10), rows->bytes(11)), writer.bytes());
    Hash stored{};
    if (!toHash(rows->bytes(8), stored) || stored != hash) return bad("the row's hash differs from its content");
    addTo(sums, row.meter, row.quantity);
    previous = hash;
    result.rows = number;
  }
  if (step == Statement::Step::failed) return database.error();
  if (result.rows != head.rows) return Verification{result.rows, result.rows + 1, "rows are missing at the end"};
  if (previous != head.hash)
    return Verification{result.rows, std::max<std::uint64_t>(result.rows, 1), "the head differs"};
  if (sums != head.totals) return Verification{result.rows, result.rows + 1, "the totals differ from the rows' sum"};
  return result;
}

}  // namespace cloister::metering
