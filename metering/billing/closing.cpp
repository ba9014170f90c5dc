#include "metering/billing/closing.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "metering/billing/accounts.h"
#include "metering/billing/hours.h"
#include "metering/billing/invoices.h"

namespace cloister::metering {
namespace {

constexpr std::size_t kInvoicesAtOnce = 500;  // how many a transaction writes: appends wait for it
constexpr int kMostRounds = 5;                // each for what other processes wrote meanwhile

Error notNow(const std::string& why, const Period& period) {
  return Error{"period", why, monthText(period), 0};
}

// `query` gives one number as `n`, or NULL, as MAX does over no rows.
Result<std::optional<std::int64_t>> numberOf(Connection& database, const std::string& query) {
  auto asked = database.prepare("SELECT n FROM (" + query + ") q WHERE n IS NOT NULL");
  if (!asked) return asked.error();
  const auto step = asked->step();
  if (step == Statement::Step::failed) return database.error();
  return step == Statement::Step::row ? std::optional(asked->integer(0)) : std::nullopt;
}

Result<std::optional<std::int64_t>> lastClosed(Connection& database) {
  return numberOf(database, "SELECT MAX(period_from) AS n FROM closed_months WHERE closed_at > 0");
}

// The first month that may have something to bill.
Result<std::optional<Period>> firstMonth(Connection& database, const PriceBook& book) {
  const auto first = numberOf(database,
                              "SELECT MIN(t) AS n FROM (SELECT MIN(hour) AS t FROM hours"
                              " UNION ALL SELECT MIN(at) AS t FROM lifecycle) e");
  if (!first) return first.error();
  if (!*first || book.empty()) return std::optional<Period>();
  return std::optional(monthOf(std::max(**first, book.front().from)));
}

Status checkOrder(Connection& database, const PriceBook& book, const Period& period) {
  const auto last = lastClosed(database);
  if (!last) return last.error();
  Period next = period;
  if (*last) {
    next = monthOf(monthOf(**last).to);
    if (period < next) return notNow("a later month is closed already: " + monthText(monthOf(**last)), period);
  } else {
    const auto first = firstMonth(database, book);
    if (!first) return first.error();
    if (*first) next = std::min(next, **first);
  }
  if (next < period) return notNow("months close in order, and this one is not closed yet: " + monthText(next), period);
  return {};
}

// Tenants whose invoices of the month are written.
Result<std::set<std::string>> invoiced(Connection& database, const Period& period) {
  auto query = database.prepare("SELECT tenant FROM invoices WHERE period_from = ?1");
  if (!query) return query.error();
  query->bind(1, period.from);
  std::set<std::string> tenants;
  Statement::Step step{};
  while ((step = query->step()) == Statement::Step::row) tenants.emplace(query->bytes(0));
  if (step == Statement::Step::failed) return database.error();
  return tenants;
}

struct Round {
  Period period;
  std::size_t lists = 0;  // in the book that the invoices are made with
  std::vector<Invoice> invoices;
  std::map<std::string, std::uint64_t> blanks;  // tenants that get none, and how far their chains were
  std::size_t present = 0;
};

Result<Round> draftAll(Connection& database, const Period& period, const TenantNamesById& names, std::int64_t now) {
  Snapshot snapshot(database);
  if (auto begun = snapshot.begin(); !begun) return begun.error();
  const auto book = loadBook(database);
  if (!book) return book.error();
  if (auto ordered = checkOrder(database, *book, period); !ordered) return ordered.error();
  if (const auto gap = firstGap(*book, period); gap != period.to)
    return Error{"rating", "no price list covers the hour of", utcText(gap), 0};
  const auto closed = invoiced(database, period);
  if (!closed) return closed.error();
  auto drafts = Drafts::open(database);
  if (!drafts) return drafts.error();
  const auto tenants = drafts->hours().tenants();
  if (!tenants) return tenants.error();
  Round round;
  round.period = period;
  round.lists = book->size();
  for (const auto& tenant : *tenants) {
    if (closed->contains(tenant)) {
      ++round.present;
      continue;
    }
    const auto name = names.find(tenant);
    auto invoice = drafts->make(*book, tenant, name == names.end() ? tenant : name->second, period);
    if (!invoice) {
      auto error = invoice.error();
      error.path = tenant + ": " + error.path;
      return error;
    }
    // Taxes of nothing are a line too.
    if (std::all_of(invoice->lines.begin(), invoice->lines.end(),
                    [](const InvoiceLine& line) { return line.kind == ChargeKind::tax; })) {
      round.blanks.emplace(tenant, invoice->lastRow);
      continue;
    }
    invoice->closedAt = now;
    round.invoices.push_back(std::move(invoice).value());
  }
  return round;
}

Result<bool> sameBook(Connection& database, std::size_t lists) {
  const auto count = numberOf(database, "SELECT COUNT(*) AS n FROM price_lists");
  if (!count) return count.error();
  return std::cmp_equal(count->value_or(0), lists);
}

// `now` 0: it is being closed.
Status putMonth(Connection& database, const Period& period, std::int64_t now) {
  auto put = database.prepare(
      "INSERT INTO closed_months VALUES(?1, ?2, ?3)"
      " ON CONFLICT(period_from) DO UPDATE SET closed_at = excluded.closed_at WHERE closed_months.closed_at = 0");
  if (!put) return put.error();
  return put->bind(1, period.from).bind(2, period.to).bind(3, now).run() ? Status() : Status(database.error());
}

// False: something was written since the drafts, by another process.
Result<bool> record(Connection& database, const Round& round, Closing& closing) {
  auto recorder = Recorder::open(database);
  if (!recorder) return recorder.error();
  bool moved = false;
  for (std::size_t at = 0; at < round.invoices.size(); at += kInvoicesAtOnce) {
    Transaction transaction(database);
    if (auto begun = transaction.begin(); !begun) return begun.error();
    const auto same = sameBook(database, round.lists);
    if (!same) return same.error();
    if (!*same) return false;
    if (auto put = putMonth(database, round.period, 0); !put) return put.error();
    std::size_t written = 0;
    for (std::size_t i = at; i < std::min(at + kInvoicesAtOnce, round.invoices.size()); ++i) {
      const auto outcome = recorder->record(round.invoices[i]);
      if (!outcome) return outcome.error();
      written += *outcome == Recorder::Outcome::recorded ? 1U : 0U;
      moved = moved || *outcome == Recorder::Outcome::moved;
    }
    if (auto done = transaction.commit(); !done) return done.error();
    closing.closed += written;
  }
  return !moved;
}

// What came between the drafts and this moment for a tenant without an invoice is late from now on.
Status markMoved(Connection& database, const Round& round) {
  auto moved = database.prepare(
      "INSERT INTO late SELECT d.tenant, ?1 FROM rolled d JOIN names n ON n.id = d.tenant"
      " WHERE n.text = ?2 AND d.number <> ?3 ON CONFLICT DO NOTHING");
  if (!moved) return moved.error();
  auto hours = HoursReader::open(database);
  if (!hours) return hours.error();
  const auto tenants = hours->tenants();
  if (!tenants) return tenants.error();
  const auto closed = invoiced(database, round.period);
  if (!closed) return closed.error();
  for (const auto& tenant : *tenants) {
    if (closed->contains(tenant)) continue;
    const auto found = round.blanks.find(tenant);
    const std::uint64_t drafted = found == round.blanks.end() ? 0 : found->second;
    if (!moved->bind(1, round.period.from).bind(2, std::string_view(tenant)).bind(3, drafted).run())
      return database.error();
  }
  return {};
}

Status markClosed(Connection& database, const PriceBook& book, const Period& period, std::int64_t now) {
  const auto last = lastClosed(database);
  if (!last) return last.error();
  for (Period month = *last ? period : monthOf(book.front().from); month <= period; month = monthOf(month.to)) {
    if (firstGap(book, month) != month.to) continue;
    if (auto put = putMonth(database, month, now); !put) return put;
  }
  return {};
}

// The month is closed with this; false as record().
Result<bool> finish(Connection& database, const Round& round, std::int64_t now) {
  Transaction transaction(database);
  if (auto begun = transaction.begin(); !begun) return begun.error();
  const auto book = loadBook(database);
  if (!book) return book.error();
  if (book->size() != round.lists) return false;
  if (auto marked = markMoved(database, round); !marked) return marked.error();
  if (auto marked = markClosed(database, *book, round.period, now); !marked) return marked.error();
  if (auto done = transaction.commit(); !done) return done.error();
  return true;
}

Result<bool> isClosed(Connection& database, const Period& period) {
  auto query = database.prepare("SELECT 1 FROM closed_months WHERE period_from = ?1 AND closed_at > 0");
  if (!query) return query.error();
  const auto step = query->bind(1, period.from).step();
  if (step == Statement::Step::failed) return database.error();
  return step == Statement::Step::row;
}

}  // namespace

Result<Closing> closeMonth(Connection& database, const Period& period, const TenantNamesById& names, std::int64_t now) {
  if (now < period.to) return notNow("the month is not over", period);
  Closing closing;
  const auto before = isClosed(database, period);
  if (!before) return before.error();
  if (*before) {
    const auto present = invoiced(database, period);
    if (!present) return present.error();
    closing.present = present->size();
    return closing;
  }
  for (int round = 0; round < kMostRounds; ++round) {
    if (auto rolled = rollUpAll(database); !rolled) return rolled.error();
    const auto drafted = draftAll(database, period, names, now);
    if (!drafted) return drafted.error();
    if (round == 0) closing.present = drafted->present;
    const auto recorded = record(database, *drafted, closing);
    if (!recorded) return recorded.error();
    if (!*recorded) continue;
    const auto done = finish(database, *drafted, now);
    if (!done) return done.error();
    if (*done) return closing;
  }
  return notNow("the ledger changed under the close each time; close it again", period);
}

Status checkList(Connection& database, const PriceList& list) {
  auto book = loadBook(database);
  if (!book) return book.error();
  if (auto added = addTo(*book, list); !added) return added;
  const auto billed = numberOf(database, "SELECT MAX(period_to) AS n FROM closed_months");
  if (!billed) return billed.error();
  if (*billed && list.from < **billed)
    return Error{"price list", "months are closed up to " + utcText(**billed) + ", and what they cost stays", "from",
                 0};
  return {};
}

}  // namespace cloister::metering
