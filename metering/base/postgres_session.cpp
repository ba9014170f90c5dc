#include "metering/base/postgres_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <map>
#include <utility>

#include "metering/base/postgres_bulk.h"
#include "metering/base/sql_dialect.h"
#include "sandbox/base/streams.h"

namespace cloister::metering::sql {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kUsualPatience{30'000};
// The server gives up first, so that its reason is told.
constexpr std::chrono::milliseconds kGrace{5'000};

// What neither the location nor the server's configuration sets. A writer that went silent must not hold the lock.
constexpr const char* kSettings = R"(
SELECT set_config(w.name, w.value, false) FROM (VALUES ('statement_timeout', '30s'), ('lock_timeout', '10s'),
  ('idle_in_transaction_session_timeout', '60s'), ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),
  ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '11000')) AS w(name, value)
  JOIN pg_settings s ON s.name = w.name WHERE s.source = 'default';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
)";
constexpr const char* kReadOnly = "SET default_transaction_read_only = on;";
constexpr const char* kPatience = "SELECT setting FROM pg_settings WHERE name = 'statement_timeout'";

// All writers of Cloister in one database; "cloister" in ASCII.
constexpr const char* kBegin =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7164786365143048562)";
constexpr const char* kSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

// What a connection is made with. The location comes last: what it says holds.
struct Parameters {
  explicit Parameters(const std::string& location) {
    values.push_back(location.c_str());
    values.push_back(nullptr);
  }
  std::vector<const char*> keys = {"fallback_application_name",
                                   "connect_timeout",
                                   "keepalives",
                                   "keepalives_idle",
                                   "keepalives_interval",
                                   "keepalives_count",
                                   "tcp_user_timeout",
                                   "dbname",
                                   nullptr};
  std::vector<const char*> values = {"cloister", "5", "1", "5", "2", "3", "11000"};
};

// libpq reads these when it connects, and what is wrong with them would look like a server that is away.
constexpr const char* kNumbers[] = {"connect_timeout",     "keepalives",       "keepalives_idle",
                                    "keepalives_interval", "keepalives_count", "tcp_user_timeout"};

bool isNumber(std::string_view text, int least, int most) {
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc() && end == text.data() + text.size() && value >= least && value <= most;
}

// One, or one for each host; empty: the usual one.
bool arePorts(std::string_view text) {
  for (;;) {
    const auto comma = text.find(',');
    const auto port = text.substr(0, comma);
    if (!port.empty() && !isNumber(port, 1, 65535)) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// libpq's texts end in a newline, and may have more.
std::string line(const char* text) {
  std::string_view all = text == nullptr ? "" : text;
  all = all.substr(0, all.find_last_not_of('\n') + 1);
  std::string out(all);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

int codeOf(std::string_view state) {
  if (state == "57014") return ETIMEDOUT;  // cancelled, as by statement_timeout
  return state == "53100" ? ENOSPC : 0;    // disk full
}

}  // namespace

PostgresSession::PostgresSession(std::string location, std::string name, std::string stage, Connection::Mode mode)
    : location_(std::move(location)),
      name_(std::move(name)),
      stage_(std::move(stage)),
      mode_(mode),
      error_{stage_, "", name_, 0} {}

PostgresSession::~PostgresSession() {
  PQfinish(handle_);
}

bool PostgresSession::fail(std::string reason, int code) {
  error_ = {stage_, std::move(reason), name_, code};
  return false;
}

void PostgresSession::lose(const std::string& reason, int code) {
  fail("no connection to the database: " + reason, code);
  PQfinish(handle_);
  handle_ = nullptr;
  startedBy_ = nullptr;
}

void PostgresSession::noteResult(const PGresult* result) {
  auto state = field(result, PG_DIAG_SQLSTATE);
  auto text = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (text.empty()) text = line(PQresultErrorMessage(result));
  if (const auto detail = field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) text += ": " + detail;
  const int code = codeOf(state);
  if (!state.empty()) text += " (" + state + ")";
  fail(std::move(text), code);
}

// A server that ended has closed its side: seen here, and not by a statement that would be lost.
bool PostgresSession::alive() {
  for (;;) {
    std::array<streams::Watched, 1> watched{{{PQsocket(handle_), streams::Want::input}}};
    if (!streams::waitAny(watched, 0) || !watched.front().readable) return PQstatus(handle_) == CONNECTION_OK;
    if (PQconsumeInput(handle_) == 0) return false;
    // Takes what the server said on its own account out of the buffer.
    static_cast<void>(PQisBusy(handle_));
  }
}

bool PostgresSession::ready() {
  if (startedBy_ != nullptr) return fail("another statement was started and its answer not taken");
  if (handle_ != nullptr && (inside_ || alive())) return true;
  if (inside_) return fail("no connection to the database: it broke within the transaction", ENOTCONN);
  PQfinish(handle_);
  handle_ = nullptr;
  return connect();
}

bool PostgresSession::connect() {
  const auto began = Clock::now();
  if (began < refusedUntil_) return false;
  const bool good = reach() && introduce();
  // Callers that wait in line for a server that does not answer must not each spend the whole time-out.
  if (!good) refusedUntil_ = Clock::now() + (Clock::now() - began);
  return good;
}

bool PostgresSession::reach() {
  const Parameters parameters(location_);
  handle_ = PQconnectdbParams(parameters.keys.data(), parameters.values.data(), 1);
  int code = ENOTCONN;
  if (PQstatus(handle_) != CONNECTION_OK && generation_ == 0) {
    // libpq does not say whether a server is away or refuses, so it is asked.
    const auto asked = PQpingParams(parameters.keys.data(), parameters.values.data(), 1);
    if (asked == PQPING_NO_ATTEMPT) code = EINVAL;
    if (asked == PQPING_OK) {
      // Or it came up in between.
      PQreset(handle_);
      code = EACCES;
    }
  }
  if (PQstatus(handle_) == CONNECTION_OK) return true;
  lose(handle_ == nullptr ? "out of memory" : line(PQerrorMessage(handle_)), code);
  return false;
}

// Our settings, and the patience that the server's own ask for.
bool PostgresSession::introduce() {
  ++generation_;
  patience_ = kUsualPatience + kGrace;
  PQsetNoticeProcessor(
      handle_, [](void*, const char*) {}, nullptr);
  const auto text = std::string(kSettings) + (mode_ == Connection::Mode::readOnly ? kReadOnly : "") + kPatience;
  PostgresResult told;
  if (PQsetnonblocking(handle_, 1) == 0) told = answer(PQsendQuery(handle_, text.c_str()));
  if (told == nullptr || PQntuples(told.get()) != 1) {
    PQfinish(handle_);
    handle_ = nullptr;
    return false;
  }
  const std::string_view digits = PQgetvalue(told.get(), 0, 0);
  std::int64_t milliseconds = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), milliseconds);
  if (milliseconds > 0) patience_ = std::chrono::milliseconds(milliseconds) + kGrace;
  return true;
}

// Until all is sent and an answer is there. Any byte from the server renews the patience.
bool PostgresSession::await() {
  auto deadline = Clock::now() + patience_;
  for (;;) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) break;
    if (unsent == 0 && PQisBusy(handle_) == 0) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      lose("no answer for " + std::to_string(patience_.count()) + " ms", ETIMEDOUT);
      return false;
    }
    std::array<streams::Watched, 1> watched{
        {{PQsocket(handle_), unsent == 0 ? streams::Want::input : streams::Want::both}}};
    if (!streams::waitAny(watched, static_cast<int>(std::min<std::int64_t>(left, 60'000)))) break;
    if (!watched.front().readable) continue;
    if (PQconsumeInput(handle_) == 0) break;
    deadline = Clock::now() + patience_;
  }
  lose(line(PQerrorMessage(handle_)), ENOTCONN);
  return false;
}

PostgresResult PostgresSession::answer(int sent) {
  startedBy_ = nullptr;
  if (handle_ == nullptr) return nullptr;
  if (sent != 1) {
    lose(line(PQerrorMessage(handle_)), ENOTCONN);
    return nullptr;
  }
  PostgresResult last;
  bool good = true;
  for (;;) {
    if (!await()) return nullptr;
    PostgresResult one(PQgetResult(handle_));
    if (!one) break;
    const auto status = PQresultStatus(one.get());
    if (status == PGRES_COPY_IN) return one;
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
      last = std::move(one);
      continue;
    }
    if (good) noteResult(one.get());
    good = false;
  }
  if (PQstatus(handle_) != CONNECTION_OK) {
    lose(good ? line(PQerrorMessage(handle_)) : error_.operation, ENOTCONN);
    return nullptr;
  }
  if (!good) return nullptr;
  if (!last) fail("the statement is empty");
  return last;
}

Status PostgresSession::exec(const std::string& text) {
  if (!ready() || !answer(PQsendQuery(handle_, text.c_str()))) return error_;
  return {};
}

Result<std::unique_ptr<Prepared>> PostgresSession::prepare(const std::string& text) {
  auto statement = std::make_unique<PostgresStatement>(*this, numbered(text));
  if (!statement->prepare()) return error_;
  return std::unique_ptr<Prepared>(std::move(statement));
}

Result<std::unique_ptr<Gathered>> PostgresSession::bulk(const BulkTarget& target) {
  std::string text = "SELECT ";
  for (const auto& column : target.columns) text += (text.size() == 7 ? "" : ", ") + column;
  PostgresStatement described(*this, text + " FROM " + target.table);
  if (!described.prepare()) return error_;
  if (target.keys == 0) return std::unique_ptr<Gathered>(new PostgresCopy(*this, target, described.columns()));
  auto replace = std::make_unique<PostgresReplace>(*this, target, described.columns());
  if (!replace->prepare()) return error_;
  return std::unique_ptr<Gathered>(std::move(replace));
}

Result<std::int64_t> PostgresSession::format() {
  auto known = prepare("SELECT to_regclass('cloister_format') IS NOT NULL");
  if (!known) return known.error();
  if ((*known)->step() != Statement::Step::row) return error_;
  if ((*known)->integer(0) == 0) return std::int64_t{0};
  auto read = prepare("SELECT format FROM cloister_format");
  if (!read) return read.error();
  if ((*read)->step() != Statement::Step::row) return fail("cloister_format is empty"), error_;
  return (*read)->integer(0);
}

Status PostgresSession::setFormat(std::int64_t format) {
  return exec(
      "CREATE TABLE IF NOT EXISTS cloister_format(one BIGINT PRIMARY KEY CHECK(one = 1), format BIGINT NOT NULL);"
      "INSERT INTO cloister_format VALUES(1, " +
      std::to_string(format) + ") ON CONFLICT(one) DO UPDATE SET format = excluded.format");
}

Status PostgresSession::open(const char* text) {
  auto begun = exec(text);
  inside_ = begun.ok();
  // The lock may be what failed: its transaction is open.
  if (!begun) rollback();
  return begun;
}

Status PostgresSession::begin() {
  return open(kBegin);
}
Status PostgresSession::beginSnapshot() {
  return open(kSnapshot);
}

Status PostgresSession::commit() {
  if (!ready()) return error_;
  const auto told = answer(PQsendQuery(handle_, "COMMIT"));
  if (!told) return error_;
  inside_ = false;
  // The server answers the COMMIT of a transaction that failed with success, and this tag.
  if (std::string_view(PQcmdStatus(told.get())) == "COMMIT") return {};
  fail("the transaction had failed and was rolled back");
  return error_;
}

void PostgresSession::rollback() {
  inside_ = false;
  if (handle_ == nullptr || PQtransactionStatus(handle_) == PQTRANS_IDLE) return;
  const auto first = error_;
  // The answer to a statement that was started stands before it.
  const bool drained = startedBy_ == nullptr || answer(1) != nullptr || handle_ != nullptr;
  if (drained) static_cast<void>(answer(PQsendQuery(handle_, "ROLLBACK")));
  error_ = first;
}

Result<std::unique_ptr<Session>> openPostgres(const std::string& location, std::string stage, Connection::Mode mode) {
  char* reason = nullptr;
  PQconninfoOption* options = PQconninfoParse(location.c_str(), &reason);
  std::map<std::string_view, std::string> given;
  for (const auto* option = options; option != nullptr && option->keyword != nullptr; ++option) {
    if (option->val != nullptr) given[option->keyword] = option->val;
  }
  // What stands in quotes may be the password.
  const std::string text = line(reason);
  const bool good = options != nullptr;
  PQconninfoFree(options);
  PQfreemem(reason);
  if (!good) return Error{stage, "no PostgreSQL URL: " + text.substr(0, text.find('"')), "postgresql://...", EINVAL};
  const auto wrong = [&](const std::string& what) {
    return Error{stage, "no PostgreSQL URL: " + what + " must be a number", "postgresql://...", EINVAL};
  };
  if (!arePorts(given["port"])) return wrong("port");
  for (const auto* number : kNumbers) {
    if (given.contains(number) && !isNumber(given[number], INT_MIN, INT_MAX)) return wrong(number);
  }
  std::string name = "postgresql://" + (given["user"].empty() ? "" : given["user"] + "@") + given["host"];
  if (!given["port"].empty()) name += ":" + given["port"];
  if (!given["dbname"].empty()) name += "/" + given["dbname"];
  return std::unique_ptr<Session>(new PostgresSession(location, std::move(name), std::move(stage), mode));
}

}  // namespace cloister::metering::sql
