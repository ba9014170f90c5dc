#include "metering/base/postgres_bulk.h"

#include <utility>

namespace cloister::metering::sql {
namespace {

constexpr std::string_view kCopyHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
constexpr std::uint64_t kCopyEnd = 0xffff;
constexpr const char* kMisbound = "the columns of a row were not bound in their order and type";

std::string arrayOf(PostgresType type) {
  if (type == PostgresType::bigint) return "BIGINT[]";
  return type == PostgresType::text ? "TEXT[]" : "BYTEA[]";
}

std::string rowsOfArrays(const std::vector<PostgresType>& types) {
  std::string text = "SELECT * FROM unnest(";
  for (std::size_t i = 0; i < types.size(); ++i) {
    text += (i == 0 ? "CAST($" : ", CAST($") + std::to_string(i + 1) + " AS " + arrayOf(types[i]) + ")";
  }
  return text + ")";
}

}  // namespace

PostgresCopy::PostgresCopy(PostgresSession& session, const BulkTarget& target, std::vector<PostgresType> types)
    : session_(session), types_(std::move(types)) {
  text_ = "COPY " + target.table + "(";
  for (std::size_t i = 0; i < target.columns.size(); ++i) text_ += (i == 0 ? "" : ", ") + target.columns[i];
  text_ += ") FROM STDIN (FORMAT binary)";
  reset();
}

void PostgresCopy::reset() {
  rows_.assign(kCopyHeader);
  bound_ = 0;
  refused_ = false;
}

void PostgresCopy::bind(int index, std::int64_t value) {
  if (!next(index, PostgresType::bigint)) return;
  putBigEndian(rows_, 8, 4);
  putBigEndian(rows_, static_cast<std::uint64_t>(value), 8);
}

void PostgresCopy::bindBlob(int index, std::string_view bytes) {
  if (!next(index, PostgresType::bytea)) return;
  putBigEndian(rows_, bytes.size(), 4);
  rows_.append(bytes);
}

bool PostgresCopy::next(int index, PostgresType type) {
  const auto at = static_cast<std::size_t>(index) - 1;
  if (at != bound_ || at >= types_.size() ||
      (type == PostgresType::bigint ? types_[at] != type : !takesBytes(types_[at]))) {
    refused_ = true;
    return false;
  }
  if (bound_++ == 0) putBigEndian(rows_, types_.size(), 2);
  return true;
}

bool PostgresCopy::add() {
  if (bound_ != types_.size()) refused_ = true;
  bound_ = 0;
  return !refused_ || session_.fail(kMisbound);
}

bool PostgresCopy::flush() {
  if (refused_ || bound_ != 0) {
    reset();
    return session_.fail(kMisbound);
  }
  if (rows_.size() == kCopyHeader.size()) return true;
  auto rows = std::exchange(rows_, {});
  reset();
  if (!session_.ready() || !session_.answer(PQsendQuery(session_.handle(), text_.c_str()))) return false;
  putBigEndian(rows, kCopyEnd, 2);
  const bool queued = PQputCopyData(session_.handle(), rows.data(), static_cast<int>(rows.size())) == 1 &&
                      PQputCopyEnd(session_.handle(), nullptr) == 1;
  return session_.answer(queued ? 1 : 0) != nullptr;
}

PostgresReplace::PostgresReplace(PostgresSession& session, const BulkTarget& target,
                                 const std::vector<PostgresType>& types)
    : session_(session), statement_(session, insertInto(target, rowsOfArrays(types))), types_(types) {
  for (const auto type : types) arrays_.emplace_back(type);
}

void PostgresReplace::reset() {
  for (auto& array : arrays_) array.clear();
  rows_ = bound_ = 0;
  refused_ = false;
}

void PostgresReplace::bind(int index, std::int64_t value) {
  const auto at = static_cast<std::size_t>(index) - 1;
  if (at != bound_++ || at >= types_.size() || types_[at] != PostgresType::bigint) {
    refused_ = true;
  } else {
    arrays_[at].add(value);
  }
}

void PostgresReplace::bindBlob(int index, std::string_view bytes) {
  const auto at = static_cast<std::size_t>(index) - 1;
  if (at != bound_++ || at >= types_.size() || !takesBytes(types_[at])) {
    refused_ = true;
  } else {
    arrays_[at].add(bytes);
  }
}

bool PostgresReplace::add() {
  if (bound_ != types_.size()) refused_ = true;
  bound_ = 0;
  ++rows_;
  return !refused_ || session_.fail(kMisbound);
}

bool PostgresReplace::flush() {
  bool done = !refused_ && bound_ == 0;
  if (!done) session_.fail(kMisbound);
  if (done && rows_ > 0) {
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      statement_.bindEncoded(static_cast<int>(i) + 1, arrays_[i].bytes());
    }
    done = statement_.step() == Statement::Step::done;
    statement_.reset();
  }
  reset();
  return done;
}

}  // namespace cloister::metering::sql
