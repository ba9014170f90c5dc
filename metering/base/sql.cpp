#include "metering/base/sql.h"

#include <cerrno>

#include "metering/base/sql_dialect.h"
#include "metering/base/sql_session.h"

namespace cloister::metering {

bool isAway(const Error& error) {
  return error.code == ENOTCONN || error.code == ETIMEDOUT;
}

Statement::Statement() = default;
Statement::Statement(std::unique_ptr<sql::Prepared> prepared) : prepared_(std::move(prepared)) {}
Statement::Statement(Statement&& other) noexcept = default;
Statement& Statement::operator=(Statement&& other) noexcept = default;
Statement::~Statement() = default;

Statement& Statement::bind(int index, std::int64_t value) {
  prepared_->bind(index, value);
  return *this;
}
Statement& Statement::bind(int index, std::uint64_t value) {
  prepared_->bind(index, static_cast<std::int64_t>(value));
  return *this;
}
Statement& Statement::bind(int index, std::string_view text) {
  prepared_->bindText(index, text);
  return *this;
}
Statement& Statement::bindBlob(int index, std::string_view bytes) {
  prepared_->bindBlob(index, bytes);
  return *this;
}
Statement& Statement::bindList(int index, std::span<const std::int64_t> values) {
  prepared_->bindList(index, values);
  return *this;
}
Statement::Step Statement::step() {
  return prepared_->step();
}
bool Statement::run() {
  const bool done = prepared_->step() == Step::done;
  prepared_->reset();
  return done;
}
void Statement::start() {
  prepared_->start();
}
void Statement::reset() {
  prepared_->reset();
}
std::int64_t Statement::integer(int column) const {
  return prepared_->integer(column);
}
std::uint64_t Statement::bits(int column) const {
  return static_cast<std::uint64_t>(prepared_->integer(column));
}
std::string_view Statement::bytes(int column) const {
  return prepared_->bytes(column);
}

Bulk::Bulk() = default;
Bulk::Bulk(std::unique_ptr<sql::Gathered> gathered) : gathered_(std::move(gathered)) {}
Bulk::Bulk(Bulk&& other) noexcept = default;
Bulk& Bulk::operator=(Bulk&& other) noexcept = default;
Bulk::~Bulk() = default;

Bulk& Bulk::bind(int index, std::int64_t value) {
  gathered_->bind(index, value);
  return *this;
}
Bulk& Bulk::bind(int index, std::uint64_t value) {
  gathered_->bind(index, static_cast<std::int64_t>(value));
  return *this;
}
Bulk& Bulk::bind(int index, std::string_view text) {
  gathered_->bindText(index, text);
  return *this;
}
Bulk& Bulk::bindBlob(int index, std::string_view bytes) {
  gathered_->bindBlob(index, bytes);
  return *this;
}
bool Bulk::add() {
  return gathered_->add();
}
bool Bulk::flush() {
  return gathered_->flush();
}
void Bulk::reset() {
  gathered_->reset();
}

Connection::Connection(std::unique_ptr<sql::Session> session) : session_(std::move(session)) {}
Connection::Connection(Connection&& other) noexcept = default;
Connection& Connection::operator=(Connection&& other) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::openFile(const std::string& path, std::string stage, Mode mode) {
  auto session = sql::openSqlite(path, std::move(stage), mode);
  if (!session) return session.error();
  return Connection(std::move(session).value());
}

Connection::Kind Connection::kind() const {
  return session_->kind();
}
const std::string& Connection::name() const {
  return session_->name();
}
Status Connection::exec(std::string_view text) {
  return session_->exec(sql::inDialect(text, kind()));
}
Result<Statement> Connection::prepare(std::string_view text) {
  auto prepared = session_->prepare(sql::inDialect(text, kind()));
  if (!prepared) return prepared.error();
  return Statement(std::move(prepared).value());
}
Status Connection::prepare(std::initializer_list<std::pair<Statement*, std::string>> wanted) {
  for (const auto& [statement, text] : wanted) {
    auto prepared = prepare(text);
    if (!prepared) return prepared.error();
    *statement = std::move(prepared).value();
  }
  return {};
}
Result<Bulk> Connection::bulk(const BulkTarget& target) {
  auto gathered = session_->bulk(target);
  if (!gathered) return gathered.error();
  return Bulk(std::move(gathered).value());
}
Result<std::int64_t> Connection::format() {
  return session_->format();
}
Status Connection::setFormat(std::int64_t format) {
  return session_->setFormat(format);
}
Error Connection::error() const {
  return session_->error();
}
bool Connection::damaged() const {
  return session_->error().code == EBADMSG;
}

Transaction::~Transaction() {
  if (open_) database_.session_->rollback();
}
Status Transaction::begin() {
  auto begun = database_.session_->begin();
  open_ = begun.ok();
  return begun;
}
Status Transaction::commit() {
  auto done = database_.session_->commit();
  if (done) open_ = false;
  return done;
}

Snapshot::~Snapshot() {
  if (open_) database_.session_->rollback();
}
Status Snapshot::begin() {
  auto begun = database_.session_->beginSnapshot();
  open_ = begun.ok();
  return begun;
}

namespace sql {

std::string insertInto(const BulkTarget& target, std::string_view source) {
  std::string text = "INSERT INTO " + target.table + "(";
  for (std::size_t i = 0; i < target.columns.size(); ++i) text += (i == 0 ? "" : ", ") + target.columns[i];
  text.append(") ").append(source);
  if (target.keys == 0) return text;
  text += " ON CONFLICT(";
  for (std::size_t i = 0; i < target.keys; ++i) text += (i == 0 ? "" : ", ") + target.columns[i];
  text += target.keys == target.columns.size() ? ") DO NOTHING" : ") DO UPDATE SET ";
  for (std::size_t i = target.keys; i < target.columns.size(); ++i) {
    text += (i == target.keys ? "" : ", ") + target.columns[i] + " = excluded." + target.columns[i];
  }
  return text;
}

}  // namespace sql
}  // namespace cloister::metering
