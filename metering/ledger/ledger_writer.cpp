#include "metering/ledger/ledger_writer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "metering/base/encoding.h"
#include "metering/base/migrations.h"
#include "metering/ledger/migrations.h"

namespace cloister::metering {
namespace {

constexpr std::size_t kNamesInMemory = 200'000;
constexpr std::int64_t kAnomaliesOfASource = 10'000;

}  // namespace

LedgerWriter::LedgerWriter(Connection database, LedgerMemory& memory)
    : memory_(memory), database_(std::move(database)) {}

Status LedgerWriter::open() {
  if (auto made = migrate(database_, kLedgerMigrations); !made) return made;
  if (auto prepared = prepare(); !prepared) return prepared;
  // Its commit has nothing to write: the lock makes heads and their last batch one state.
  Transaction transaction(database_);
  if (auto begun = transaction.begin(); !begun) return begun;
  auto last = database_.prepare("SELECT COALESCE(MAX(id), 0) FROM batches");
  if (!last) return last.error();
  if (last->step() != Statement::Step::row) return database_.error();
  return reload(-1, last->integer(0));
}

Status LedgerWriter::prepare() {
  if (auto prepared = database_.prepare(
          {{&findBatch_,
            "SELECT m.last, b.digest FROM (SELECT COALESCE(MAX(id), 0) AS last FROM batches) m "
            "LEFT JOIN batches b ON b.source = (SELECT id FROM names WHERE text = ?1) AND b.sequence = ?2"},
           {&findName_, "SELECT id FROM names WHERE text = ?1"},
           {&putName_,
            "INSERT INTO names(id, text) "
            "VALUES((SELECT COALESCE(MAX(id), 0) + 1 FROM names), ?1) RETURNING id"},
           {&putBatch_,
            "INSERT INTO batches(id, source, sequence, digest, boot, received) "
            "VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
           {&putAnomaly_,
            "INSERT INTO anomalies(id, at, source, sequence, digest, stored, reason) "
            "VALUES((SELECT COALESCE(MAX(id), 0) + 1 FROM anomalies), ?1, ?2, ?3, ?4, ?5, ?6)"}});
      !prepared)
    return prepared.error();
  const std::pair<Bulk*, BulkTarget> bulks[] = {
      {&rows_,
       {"rows",
        {"tenant", "number", "batch", "app", "instance", "meter", "quantity", "window_from", "window_to", "note",
         "hash"},
        0}},
      {&spanRows_, {"spans", {"tenant", "first", "last", "min_from", "max_from"}, 0}},
      {&heads_, {"heads", {"tenant", "rows", "hash", "totals", "latest", "batch"}, 1}},
      {&gaps_, {"gaps", {"note", "rows", "milliseconds"}, 1}}};
  for (const auto& [bulk, target] : bulks) {
    auto made = database_.bulk(target);
    if (!made) return made.error();
    *bulk = std::move(made).value();
  }
  return {};
}

// Heads that batches after `since` moved, and the sums that have no batch of their own.
Status LedgerWriter::reload(std::int64_t since, std::int64_t last) {
  LedgerChange found;
  found.lastBatch = last;
  auto heads = database_.prepare(
      "SELECT n.text, h.tenant, h.rows, h.hash, h.totals, h.latest "
      "FROM heads h JOIN names n ON n.id = h.tenant WHERE h.batch > ?1");
  if (!heads) return heads.error();
  heads->bind(1, since);
  Statement::Step step{};
  while ((step = heads->step()) == Statement::Step::row) {
    Head head;
    head.id = heads->integer(1);
    head.rows = heads->bits(2);
    head.latest = heads->integer(5);
    if (!toHash(heads->bytes(3), head.hash) || !decodeTotals(heads->bytes(4), head.totals)) {
      return Error{"ledger", "decode the head of " + std::string(heads->bytes(0)), database_.name(), EBADMSG};
    }
    found.heads.emplace(heads->bytes(0), head);
  }
  if (step == Statement::Step::failed) return database_.error();
  auto gaps = database_.prepare("SELECT n.text, g.rows, g.milliseconds FROM gaps g JOIN names n ON n.id = g.note");
  if (!gaps) return gaps.error();
  while ((step = gaps->step()) == Statement::Step::row) {
    found.gaps.emplace(gaps->bytes(0), GapSum{gaps->bits(1), gaps->bits(2)});
  }
  if (step == Statement::Step::failed) return database_.error();
  auto refused = database_.prepare("SELECT COUNT(*) FROM anomalies");
  if (!refused) return refused.error();
  if (refused->step() != Statement::Step::row) return database_.error();
  found.refused = refused->bits(0);
  memory_.apply(found);
  return {};
}

Result<Appended> LedgerWriter::append(const UsageBatch& batch, std::int64_t receivedAt) {
  if (auto good = encode(batch); !good) return good.error();
  Transaction transaction(database_);
  if (auto begun = transaction.begin(); !begun) return begun.error();
  auto outcome = record(batch, receivedAt);
  Status done;
  if (!outcome) {
    done = outcome.error();
  } else {
    done = transaction.commit();
  }
  if (!done) {
    reset();
    return done.error();
  }
  memory_.apply(change_);
  return outcome;
}

Result<bool> LedgerWriter::refuse(const UsageBatch& batch, std::int64_t at, const std::string& reason) {
  if (auto good = encode(batch); !good) return good.error();
  Transaction transaction(database_);
  if (auto begun = transaction.begin(); !begun) return begun.error();
  auto fresh = putRefusal(batch, at, reason);
  auto done = fresh ? transaction.commit() : Status(fresh.error());
  if (!done) {
    reset();
    return done.error();
  }
  if (*fresh) memory_.apply({{}, {}, memory_.refused() + 1, memory_.lastBatch()});
  return fresh;
}

// A host may send the same again and again, and many of them.
Result<bool> LedgerWriter::putRefusal(const UsageBatch& batch, std::int64_t at, const std::string& reason) {
  const auto digest = digestOf(batch);
  auto known = database_.prepare(
      "SELECT COUNT(*), COALESCE(SUM(CASE WHEN sequence = ?2 AND digest = ?3 THEN 1 ELSE 0 END), 0)"
      " FROM anomalies WHERE source = ?1");
  if (!known) return known.error();
  known->bind(1, std::string_view(batch.source)).bind(2, batch.sequence).bindBlob(3, view(digest));
  if (known->step() != Statement::Step::row) return database_.error();
  if (known->integer(0) >= kAnomaliesOfASource || known->integer(1) > 0) return false;
  putAnomaly_.bind(1, at).bind(2, std::string_view(batch.source)).bind(3, batch.sequence);
  putAnomaly_.bindBlob(4, view(digest)).bindBlob(5, std::string_view("")).bind(6, std::string_view(reason));
  if (!putAnomaly_.run()) return database_.error();
  return true;
}

Status LedgerWriter::encode(const UsageBatch& batch) {
  if (batch.source.empty()) return Error{"ledger", "batch without a source", database_.name(), EINVAL};
  encoded_.resize(batch.rows.size());
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const auto& row = batch.rows[i];
    if (row.tenantId.empty() || row.from >= row.to)
      return Error{"ledger", "row without a tenant or a time", database_.name(), EINVAL};
    wire::Writer writer;
    putRow(writer, row);
    encoded_[i] = writer.bytes();
  }
  return {};
}

Hash LedgerWriter::digestOf(const UsageBatch& batch) {
  wire::Writer front;
  front.put(kChainEncoding);
  front.put(batch.source);
  front.put(batch.sequence);
  front.put(batch.bootId);
  front.put(static_cast<std::uint32_t>(encoded_.size()));
  sha_.begin().add(front.bytes());
  for (const auto& row : encoded_) sha_.add(row);
  return sha_.end();
}

// Inside the transaction. What memory must take over after its commit is in change_.
Result<Appended> LedgerWriter::record(const UsageBatch& batch, std::int64_t receivedAt) {
  const auto digest = digestOf(batch);
  if (findBatch_.bind(1, std::string_view(batch.source)).bind(2, batch.sequence).step() != Statement::Step::row) {
    return database_.error();
  }
  const auto last = findBatch_.integer(0);
  const std::string stored(findBatch_.bytes(1));
  findBatch_.reset();
  if (last != memory_.lastBatch()) {
    // Fewer than known: another database took the place of the one that was read.
    if (last < memory_.lastBatch()) {
      memory_.clear();
      names_.clear();
    }
    const auto since = memory_.lastBatch() == 0 ? -1 : memory_.lastBatch();
    if (auto read = reload(since, last); !read) return read.error();
  }
  change_ = {{}, {}, memory_.refused(), last};
  if (!stored.empty()) return repeated(batch, stored, digest, receivedAt);

  const auto source = nameId(batch.source);
  if (!source) return source.error();
  const auto boot = nameId(batch.bootId);
  if (!boot) return boot.error();
  change_.lastBatch = last + 1;
  putBatch_.bind(1, change_.lastBatch).bind(2, *source).bind(3, batch.sequence).bindBlob(4, view(digest));
  if (!putBatch_.bind(5, *boot).bind(6, receivedAt).run()) return database_.error();
  if (auto written = writeRows(batch, change_.lastBatch, receivedAt); !written) return written.error();
  if (auto written = writeEnds(); !written) return written.error();
  return Appended::recorded;
}

Result<Appended> LedgerWriter::repeated(const UsageBatch& batch, std::string_view stored, const Hash& digest,
                                        std::int64_t receivedAt) {
  if (stored == view(digest)) return Appended::repeated;
  putAnomaly_.bind(1, receivedAt).bind(2, std::string_view(batch.source)).bind(3, batch.sequence);
  if (!putAnomaly_.bindBlob(4, view(digest)).bindBlob(5, stored).bind(6, std::string_view("")).run()) {
    return database_.error();
  }
  ++change_.refused;
  return Appended::refused;
}

Status LedgerWriter::writeRows(const UsageBatch& batch, std::int64_t batchId, std::int64_t receivedAt) {
  spans_.clear();
  const auto constant = batchPart(batch.source, batch.sequence, batch.bootId);
  Head* head = nullptr;
  Span* span = nullptr;
  const std::string* tenant = nullptr;
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const auto& row = batch.rows[i];
    if (tenant == nullptr || *tenant != row.tenantId) {
      tenant = &row.tenantId;
      const auto [entry, fresh] = change_.heads.try_emplace(row.tenantId);
      head = &entry->second;
      if (const auto* known = memory_.head(row.tenantId); fresh && known != nullptr) *head = *known;
      if (head->id == 0) {
        const auto id = nameId(row.tenantId);
        if (!id) return id.error();
        head->id = *id;
      }
      span = &spans_[row.tenantId];
      if (span->first == 0) span->first = head->rows + 1;
    }
    const auto app = nameId(row.appId);
    if (!app) return app.error();
    const auto instance = nameId(row.instanceId);
    if (!instance) return instance.error();
    const auto note = nameId(row.note);
    if (!note) return note.error();
    ++head->rows;
    head->hash = rowHash(sha_, head->hash, head->rows, constant, encoded_[i]);
    addTo(head->totals, row.meter, row.quantity);
    // A label ahead of our clock, a node's or what ours gave before it was set back, would hide every lag until then.
    head->latest = std::min(std::max(head->latest, row.to), receivedAt);
    span->minFrom = std::min(span->minFrom, row.from);
    span->maxFrom = std::max(span->maxFrom, row.from);
    rows_.bind(1, head->id).bind(2, head->rows).bind(3, batchId).bind(4, *app).bind(5, *instance);
    rows_.bind(6, static_cast<std::int64_t>(row.meter)).bind(7, row.quantity).bind(8, row.from).bind(9, row.to);
    if (!rows_.bind(10, *note).bindBlob(11, view(head->hash)).add()) return database_.error();
    if (row.meter == Meter::gap) {
      const auto [sum, first] = change_.gaps.try_emplace(row.note);
      if (first) sum->second = memory_.gap(row.note);
      ++sum->second.rows;
      sum->second.milliseconds += row.quantity;
    }
  }
  if (!rows_.flush()) return database_.error();
  return {};
}

Status LedgerWriter::writeEnds() {
  for (const auto& [tenant, head] : change_.heads) {
    const auto& span = spans_.at(tenant);
    spanRows_.bind(1, head.id).bind(2, span.first).bind(3, head.rows).bind(4, span.minFrom).bind(5, span.maxFrom);
    if (!spanRows_.add()) return database_.error();
    const auto totals = encodeTotals(head.totals);
    heads_.bind(1, head.id).bind(2, head.rows).bindBlob(3, view(head.hash)).bindBlob(4, totals);
    if (!heads_.bind(5, head.latest).bind(6, change_.lastBatch).add()) return database_.error();
  }
  for (const auto& [note, sum] : change_.gaps) {
    const auto id = nameId(note);
    if (!id) return id.error();
    if (!gaps_.bind(1, *id).bind(2, sum.rows).bind(3, sum.milliseconds).add()) return database_.error();
  }
  if (!spanRows_.flush() || !heads_.flush() || !gaps_.flush()) return database_.error();
  return {};
}

Result<std::int64_t> LedgerWriter::nameId(const std::string& text) {
  if (const auto known = names_.find(text); known != names_.end()) return known->second;
  auto step = findName_.bind(1, std::string_view(text)).step();
  auto* answer = &findName_;
  if (step == Statement::Step::done) {
    findName_.reset();
    answer = &putName_;
    step = putName_.bind(1, std::string_view(text)).step();
  }
  if (step != Statement::Step::row) return database_.error();
  const auto id = answer->integer(0);
  answer->reset();
  if (names_.size() >= kNamesInMemory) names_.clear();
  names_.emplace(text, id);
  return id;
}

// After a failure: nothing of it may reach the next batch, and names that were rolled back have no number.
void LedgerWriter::reset() {
  for (auto* statement : {&findBatch_, &findName_, &putName_, &putBatch_, &putAnomaly_}) statement->reset();
  for (auto* bulk : {&rows_, &spanRows_, &heads_, &gaps_}) bulk->reset();
  names_.clear();
}

}  // namespace cloister::metering
