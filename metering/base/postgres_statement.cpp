#include "metering/base/postgres_statement.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace cloister::metering::sql {
namespace {

constexpr int kBinary = 1;

bool readable(PostgresType type) {
  return takesBytes(type) || type == PostgresType::boolean || type == PostgresType::smallint ||
         type == PostgresType::integer || type == PostgresType::bigint;
}

}  // namespace

PostgresStatement::PostgresStatement(PostgresSession& session, std::string text)
    : session_(session), text_(std::move(text)), name_(session.nextStatementName()) {}

// Left on the server when the connection cannot take a call: it goes with the connection.
PostgresStatement::~PostgresStatement() {
  reset();
  if (generation_ != session_.generation() || session_.handle() == nullptr) return;
  if (session_.startedBy() != nullptr || PQtransactionStatus(session_.handle()) == PQTRANS_INERROR) return;
  const auto text = "DEALLOCATE " + name_;
  static_cast<void>(session_.answer(PQsendQuery(session_.handle(), text.c_str())));
}

bool PostgresStatement::prepare() {
  if (!session_.ready()) return false;
  if (generation_ == session_.generation()) return true;
  auto* handle = session_.handle();
  if (!session_.answer(PQsendPrepare(handle, name_.c_str(), text_.c_str(), 0, nullptr))) return false;
  const auto told = session_.answer(PQsendDescribePrepared(session_.handle(), name_.c_str()));
  if (!told) return false;
  generation_ = session_.generation();
  types_.clear();
  for (int i = 0; i < PQnparams(told.get()); ++i) types_.push_back(PostgresType{PQparamtype(told.get(), i)});
  columns_.clear();
  for (int i = 0; i < PQnfields(told.get()); ++i) {
    const PostgresType type{PQftype(told.get(), i)};
    if (!readable(type)) {
      return session_.fail("column " + std::to_string(i) + " (" + PQfname(told.get(), i) + ") is of type " +
                           std::to_string(PQftype(told.get(), i)) + ": CAST it to BIGINT");
    }
    columns_.push_back(type);
  }
  own_.resize(types_.size());
  values_.resize(types_.size());
  lengths_.resize(types_.size());
  return true;
}

bool PostgresStatement::known(int index) {
  if (index >= 1 && static_cast<std::size_t>(index) <= types_.size()) return true;
  refused_ = "there is no parameter " + std::to_string(index);
  return false;
}

void PostgresStatement::bindEncoded(int index, std::string_view bytes) {
  const auto at = static_cast<std::size_t>(index) - 1;
  // A null pointer would be NULL.
  values_[at] = bytes.data() == nullptr ? "" : bytes.data();
  lengths_[at] = static_cast<int>(std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max()));
}

void PostgresStatement::bind(int index, std::int64_t value) {
  if (!known(index)) return;
  const auto at = static_cast<std::size_t>(index) - 1;
  auto encoded = encodeInteger(value, types_[at]);
  if (!encoded) {
    refused_ = "parameter " + std::to_string(index) + " does not take the integer " + std::to_string(value);
    return;
  }
  own_[at] = std::move(*encoded);
  bindEncoded(index, own_[at]);
}

void PostgresStatement::bindBlob(int index, std::string_view bytes) {
  if (!known(index)) return;
  if (!takesBytes(types_[static_cast<std::size_t>(index) - 1])) {
    refused_ = "parameter " + std::to_string(index) + " does not take bytes";
    return;
  }
  bindEncoded(index, bytes);
}

void PostgresStatement::bindList(int index, std::span<const std::int64_t> values) {
  if (!known(index)) return;
  const auto at = static_cast<std::size_t>(index) - 1;
  if (types_[at] != PostgresType::bigintArray) {
    refused_ = "parameter " + std::to_string(index) + " is no list";
    return;
  }
  PostgresArray array(PostgresType::bigint);
  for (const auto value : values) array.add(value);
  own_[at] = array.bytes();
  bindEncoded(index, own_[at]);
}

bool PostgresStatement::send() {
  if (!refused_.empty()) return session_.fail(std::exchange(refused_, {}));
  if (!prepare()) return false;
  const std::vector<int> formats(types_.size(), kBinary);
  const int sent = PQsendQueryPrepared(session_.handle(), name_.c_str(), static_cast<int>(types_.size()),
                                       values_.data(), lengths_.data(), formats.data(), kBinary);
  if (sent != 1) return session_.answer(sent) != nullptr;
  session_.setStartedBy(this);
  return true;
}

void PostgresStatement::start() {
  reset();
  static_cast<void>(send());
}

Statement::Step PostgresStatement::step() {
  if (!result_) {
    if (session_.startedBy() != this && !send()) return Statement::Step::failed;
    result_ = session_.answer(1);
    row_ = -1;
    if (!result_) return Statement::Step::failed;
  }
  if (++row_ < PQntuples(result_.get())) return Statement::Step::row;
  reset();
  return Statement::Step::done;
}

void PostgresStatement::reset() {
  if (session_.startedBy() == this) static_cast<void>(session_.answer(1));
  result_.reset();
  refused_.clear();
}

std::int64_t PostgresStatement::integer(int column) const {
  return getBigEndian(bytes(column));
}

std::string_view PostgresStatement::bytes(int column) const {
  return {PQgetvalue(result_.get(), row_, column), static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
}

}  // namespace cloister::metering::sql
