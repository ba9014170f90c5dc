// Invoices: drafts from the hours, and the closed ones on record.
//
// Part of Billing; others call that. Threads: the caller holds the connection's mutex. Failures: Error of the
// connection, or of rating.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metering/billing/billing.h"
#include "metering/billing/hours.h"

namespace cloister::metering {

[[nodiscard]] Result<std::vector<InvoiceSummary>> listInvoices(Connection& database, const std::string& tenantId);
[[nodiscard]] Result<std::optional<Invoice>> findInvoice(Connection& database, const std::string& id);

// Makes drafts, one tenant after the other, from one state of the database.
class Drafts {
 public:
  [[nodiscard]] static Result<Drafts> open(Connection& database);

  // Of a month that is closed: as it would be today, without credits and without corrections of others.
  [[nodiscard]] Result<Invoice> make(const PriceBook& book, const std::string& tenantId, const std::string& name,
                                     const Period& period);
  [[nodiscard]] HoursReader& hours() { return hours_; }

 private:
  Drafts(Connection& database, HoursReader hours) : database_(&database), hours_(std::move(hours)) {}
  [[nodiscard]] Result<std::vector<InvoiceLine>> corrections(const PriceBook& book, const std::string& tenantId,
                                                             const Period& upTo);
  [[nodiscard]] Result<BilledMonth> billed(const std::string& tenantId, const Period& period);
  [[nodiscard]] Result<std::vector<Credit>> credits(const std::string& tenantId);
  Connection* database_;
  HoursReader hours_;
  Statement closed_;
  Statement bodies_;
  Statement credits_;
};

// Writes invoices in the caller's transactions.
class Recorder {
 public:
  [[nodiscard]] static Result<Recorder> open(Connection& database);
  // moved: the tenant's chain went on since the draft, so it is no longer what the hours say.
  enum class Outcome { recorded, present, moved };
  // Takes the invoice's credits and clears the late months before it, whose corrections are in it, too.
  [[nodiscard]] Result<Outcome> record(const Invoice& invoice);

 private:
  explicit Recorder(Connection& database) : database_(&database) {}
  Connection* database_;
  Statement moved_;
  Statement put_;
  Statement takeCredit_;
  Statement clearLate_;
};

}  // namespace cloister::metering
