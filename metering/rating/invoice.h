// Invoice: a month of a tenant as lines that add up to what is due.
//
//   usage + fees + minimum           rate.h, of this month
//   + corrections                    what months that are closed would cost with the usage that came late, less what
//                                    was billed for them
//   - credits                        in order, never below zero
//   + taxes                          of the sum so far, each rounded to the micro-unit; those of the list at the end of
//                                    the month
//   + rounding                       to the currency's smallest coin, halves away from zero
//   = total
//
// It names the ledger's rows that it rests on: the tenant's chain up to `lastRow`, whose hash is `head`. The document
// is JSON; the same invoice gives the same bytes, so its digest is stable. Amounts are decimal text.
// Threads: values and pure functions. Failures: Error{stage "invoice", operation = the reason, path = the field, code
// ERANGE for a sum beyond 63 bits}.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metering/rating/rate.h"

namespace cloister::metering {

struct InvoiceLine {
  ChargeKind kind = ChargeKind::usage;
  std::string sku;
  std::string appId;
  std::string priceList;
  std::int64_t from = 0;
  std::int64_t to = 0;
  Meter meter = Meter::cpu;  // of usage, and of its corrections
  std::string unit;          // likewise; empty: none
  Quantity quantity = 0;     // base units
  std::string text;          // credits, taxes: what they are
  Money cost = 0;
  friend bool operator==(const InvoiceLine&, const InvoiceLine&) = default;
};

struct Credit {
  std::string id;
  std::string text;
  Money remaining = 0;
};

struct Invoice {
  std::string id;  // "inv-<tenant>-2026-11"
  std::string tenantId;
  std::string tenantName;
  Period period;
  std::string currency;
  std::vector<InvoiceLine> lines;
  Money total = 0;
  std::uint64_t lastRow = 0;  // of the tenant's chain
  std::string head;           // hexadecimal hash of that row
  std::int64_t closedAt = 0;  // 0: a draft
  friend bool operator==(const Invoice&, const Invoice&) = default;
};

// What has been billed for one month: the sum of its lines by what a correction is made for.
struct BilledMonth {
  Period period;
  std::vector<InvoiceLine> lines;  // usage, fee, minimum of its invoice, and later corrections of it
};

// The lines of an invoice that bill `month`: its own usage, fees and minimum, or corrections of it.
[[nodiscard]] std::vector<InvoiceLine> billedLines(const Invoice& invoice, const Period& month);
// Charges by kind, list, sku and app.
[[nodiscard]] std::vector<InvoiceLine> linesOf(const std::vector<Charge>& charges);
// What `now` (lines of that month as it stands today) has more or less than what was billed.
[[nodiscard]] std::vector<InvoiceLine> correctionsOf(const BilledMonth& billed, const std::vector<InvoiceLine>& now);

struct InvoiceInput {
  std::string tenantId;
  std::string tenantName;
  Period period;
  std::vector<InvoiceLine> lines;        // linesOf() this month's charges
  std::vector<InvoiceLine> corrections;  // of months before
  std::vector<Credit> credits;
  std::uint64_t lastRow = 0;
  std::string head;
};
// A draft. The credits that were used are its lines of that kind, `sku` being their id.
[[nodiscard]] Result<Invoice> makeInvoice(const PriceBook& book, const InvoiceInput& input);

[[nodiscard]] std::string invoiceId(const std::string& tenantId, const Period& period);
// Of the currency: 2 for most, 0 for a few (ISO 4217).
[[nodiscard]] unsigned minorDigits(const std::string& currency);

[[nodiscard]] std::string toJson(const Invoice& invoice);
[[nodiscard]] Result<Invoice> invoiceFromJson(const std::string& text);
// What a line is, for people; apps are not named.
[[nodiscard]] std::string describe(const InvoiceLine& line);

}  // namespace cloister::metering
