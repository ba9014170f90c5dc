#include "metering/ledger/ledger_walk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "metering/base/sha256.h"
#include "metering/ledger/ledger_chain.h"

namespace cloister::metering {
namespace {

// Rows are read in pages: while one is hashed, the server reads the next. Names and batches are asked for once, and
// stay as the chain encodes them.
constexpr std::int64_t kPageRows = 2048;
constexpr std::size_t kNamesKept = 200'000;

struct StoredRow {
  std::int64_t number, batch, app, instance, meter, from, to, note;
  std::uint64_t quantity;
  Hash hash;
  bool whole;  // the hash has its size
};

void append(std::string& out, std::uint64_t value, std::size_t size = sizeof(std::uint64_t)) {
  static_assert(std::endian::native == std::endian::little);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, size);
}

std::string encodedText(std::string_view text) {
  std::string out;
  append(out, text.size(), sizeof(std::uint32_t));
  return out.append(text);
}

using Texts = std::unordered_map<std::int64_t, std::string>;

const std::string* find(const Texts& texts, std::int64_t id) {
  const auto found = texts.find(id);
  return found == texts.end() ? nullptr : &found->second;
}

class Walk {
 public:
  Walk(Connection& database, WalkStatements& statements, const std::string& tenantId)
      : database_(database), statements_(statements), tenantId_(tenantId), tenant_(encodedText(tenantId)) {}

  Result<Verification> run(const VerifyProgress& progress) {
    auto known = readHead();
    if (!known) return known.error();
    if (!*known) return Verification{0, 1, "the head is damaged"};
    ask(INT64_MIN);
    for (bool more = true; more;) {
      if (auto read = readPage(); !read) return read.error();
      if (auto read = readBatches(); !read) return read.error();
      if (auto read = readNames(); !read) return read.error();
      more = std::cmp_equal(page_.size(), kPageRows);
      if (more) ask(page_.back().number);
      for (const auto& row : page_) {
        if (const char* reason = check(row); reason != nullptr) return Verification{rows_, rows_ + 1, reason};
      }
      if (progress && !progress(rows_))
        return Error{"ledger", "the verification was ended by its caller", database_.name(), ECANCELED};
    }
    if (rows_ != head_.rows) return Verification{rows_, rows_ + 1, "rows are missing at the end"};
    if (previous_ != head_.hash) return Verification{rows_, std::max<std::uint64_t>(rows_, 1), "the head differs"};
    if (sums_ != head_.totals) return Verification{rows_, rows_ + 1, "the totals differ from the rows' sum"};
    return Verification{rows_, 0, ""};
  }

 private:
  // False: it does not decode. An unknown tenant has an empty chain.
  Result<bool> readHead() {
    auto& end = statements_.head;
    end.reset();
    const auto found = end.bind(1, std::string_view(tenantId_)).step();
    if (found == Statement::Step::failed) return database_.error();
    bool good = true;
    if (found == Statement::Step::row) {
      head_.id = end.integer(0);
      head_.rows = end.bits(1);
      good = toHash(end.bytes(2), head_.hash) && decodeTotals(end.bytes(3), head_.totals);
    }
    end.reset();
    return good;
  }

  void ask(std::int64_t after) {
    statements_.rows.reset();
    statements_.rows.bind(1, head_.id).bind(2, after).start();
  }

  Status readPage() {
    page_.clear();
    Statement::Step step{};
    while ((step = statements_.rows.step()) == Statement::Step::row) {
      auto& row = page_.emplace_back();
      row.number = statements_.rows.integer(0);
      row.batch = statements_.rows.integer(1);
      row.app = statements_.rows.integer(2);
      row.instance = statements_.rows.integer(3);
      row.meter = statements_.rows.integer(4);
      row.quantity = statements_.rows.bits(5);
      row.from = statements_.rows.integer(6);
      row.to = statements_.rows.integer(7);
      row.note = statements_.rows.integer(8);
      row.whole = toHash(statements_.rows.bytes(9), row.hash);
    }
    if (step == Statement::Step::failed) return database_.error();
    return {};
  }

  struct Batch {
    std::int64_t source, boot;
    std::uint64_t sequence;
  };

  Status readBatches() {
    batches_.clear();
    wanted_.clear();
    for (const auto& row : page_) {
      if (wanted_.empty() || wanted_.back() != row.batch) wanted_.push_back(row.batch);
    }
    if (wanted_.empty()) return {};
    statements_.batches.bindList(1, wanted_);
    Statement::Step step{};
    while ((step = statements_.batches.step()) == Statement::Step::row) {
      batches_.insert_or_assign(
          statements_.batches.integer(0),
          Batch{statements_.batches.integer(1), statements_.batches.integer(3), statements_.batches.bits(2)});
    }
    if (step == Statement::Step::failed) return database_.error();
    statements_.batches.reset();
    return {};
  }

  void want(std::int64_t name) {
    // The empty text marks what was asked for: an encoded one has its length.
    if (names_.try_emplace(name).second) wanted_.push_back(name);
  }

  Status readNames() {
    if (names_.size() > kNamesKept) names_.clear();
    wanted_.clear();
    const StoredRow* last = nullptr;
    for (const auto& row : page_) {
      if (last == nullptr || last->app != row.app) want(row.app);
      if (last == nullptr || last->instance != row.instance) want(row.instance);
      if (last == nullptr || last->note != row.note) want(row.note);
      last = &row;
    }
    for (const auto& [id, batch] : batches_) {
      want(batch.source);
      want(batch.boot);
    }
    if (wanted_.empty()) return {};
    statements_.names.bindList(1, wanted_);
    Statement::Step step{};
    while ((step = statements_.names.step()) == Statement::Step::row) {
      names_.insert_or_assign(statements_.names.integer(0), encodedText(statements_.names.bytes(1)));
    }
    if (step == Statement::Step::failed) return database_.error();
    statements_.names.reset();
    return {};
  }

  // What all rows of a batch have in common; false when something of it is gone.
  bool openBatch(std::int64_t id) {
    batch_ = id;
    constant_.clear();
    const auto found = batches_.find(id);
    if (found == batches_.end()) return false;
    const auto* source = find(names_, found->second.source);
    const auto* boot = find(names_, found->second.boot);
    if (source->empty() || boot->empty()) return false;
    constant_ += *source;
    append(constant_, found->second.sequence);
    constant_ += *boot;
    return true;
  }

  // Why the row does not hold, or null. The bytes are those of rowHash() and putRow().
  const char* check(const StoredRow& row) {
    const auto number = rows_ + 1;
    if (static_cast<std::uint64_t>(row.number) != number) return "the row is missing";
    if (row.meter < 0 || row.meter > static_cast<std::int64_t>(kLastMeter)) return "the row's meter is unknown";
    if ((batch_ != row.batch || constant_.empty()) && !openBatch(row.batch)) return "the row's batch is missing";
    const auto* app = find(names_, row.app);
    const auto* instance = find(names_, row.instance);
    const auto* note = find(names_, row.note);
    if (app->empty() || instance->empty() || note->empty()) return "a name of the row is missing";
    bytes_.assign(view(previous_));
    bytes_ += static_cast<char>(kChainEncoding);
    append(bytes_, number);
    bytes_.append(constant_).append(tenant_).append(*app).append(*instance);
    bytes_ += static_cast<char>(row.meter);
    append(bytes_, row.quantity);
    append(bytes_, static_cast<std::uint64_t>(row.from));
    append(bytes_, static_cast<std::uint64_t>(row.to));
    bytes_ += *note;
    const auto hash = sha_.begin().add(bytes_).end();
    if (!row.whole || hash != row.hash) return "the row's hash differs from its content";
    addTo(sums_, static_cast<Meter>(row.meter), row.quantity);
    previous_ = hash;
    rows_ = number;
    return nullptr;
  }

  Connection& database_;
  WalkStatements& statements_;
  const std::string& tenantId_;
  const std::string tenant_;
  Head head_;
  std::uint64_t rows_ = 0;
  Hash previous_{};
  Totals sums_{};
  Sha256 sha_;
  std::vector<StoredRow> page_;
  std::unordered_map<std::int64_t, Batch> batches_;
  Texts names_;
  std::vector<std::int64_t> wanted_;
  std::int64_t batch_ = 0;
  std::string constant_;
  std::string bytes_;
};

}  // namespace

Status ChainWalk::prepare() {
  const auto rows =
      "SELECT number, batch, app, instance, meter, quantity, window_from, window_to, note, hash FROM rows "
      "WHERE tenant = ?1 AND number > ?2 ORDER BY number LIMIT " +
      std::to_string(kPageRows);
  if (auto prepared = database_.prepare(
          {{&statements_.head,
            "SELECT tenant, rows, hash, totals FROM heads WHERE tenant = (SELECT id FROM names WHERE text = ?1)"},
           {&statements_.rows, rows},
           {&statements_.batches, "SELECT id, source, sequence, boot FROM batches WHERE id IN ({list ?1})"},
           {&statements_.names, "SELECT id, text FROM names WHERE id IN ({list ?1})"}});
      !prepared)
    return prepared.error();
  prepared_ = true;
  return {};
}

Result<Verification> ChainWalk::run(const std::string& tenantId, const VerifyProgress& progress) {
  if (!prepared_) {
    if (auto prepared = prepare(); !prepared) return prepared.error();
  }
  auto verification = Walk(database_, statements_, tenantId).run(progress);
  for (auto* statement : {&statements_.head, &statements_.rows, &statements_.batches, &statements_.names}) {
    statement->reset();
  }
  return verification;
}

}  // namespace cloister::metering
