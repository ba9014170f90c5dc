#include "metering/rating/invoice.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <tuple>

namespace cloister::metering {
namespace {

__extension__ using Wide = __int128;

constexpr std::int64_t kWhole = 1'000'000;  // parts per million

Error tooLarge(const std::string& about) {
  return Error{"invoice", "the sum is beyond what an invoice can hold", about, ERANGE};
}

// What makes two charges one line.
using LineKey = std::tuple<ChargeKind, std::string, std::string, std::string>;
LineKey keyOf(const InvoiceLine& line) {
  return {line.kind, line.priceList, line.sku, line.appId};
}

// The same of a correction, which says by its unit whether it corrects usage.
LineKey correctedKey(const InvoiceLine& line) {
  auto key = keyOf(line);
  std::get<0>(key) = ChargeKind::correction;
  return key;
}

InvoiceLine textLine(ChargeKind kind, const std::string& sku, const std::string& text, const Period& period,
                     Money cost) {
  InvoiceLine line;
  line.kind = kind;
  line.sku = sku;
  line.text = text;
  line.from = period.from;
  line.to = period.to;
  line.cost = cost;
  return line;
}

void useCredits(const std::vector<Credit>& credits, Invoice& invoice, Money& sum) {
  for (const auto& credit : credits) {
    const Money used = std::min(credit.remaining, std::max<Money>(sum, 0));
    if (used <= 0) continue;
    invoice.lines.push_back(textLine(ChargeKind::credit, credit.id, credit.text, invoice.period, -used));
    sum -= used;
  }
}

// The list that holds when the month ends: its taxes are the month's.
const PriceList* lastList(const PriceBook& book, const Period& period) {
  const PriceList* last = nullptr;
  for (const auto& list : book) {
    if (list.from < period.to && list.to > period.from) last = &list;
  }
  return last;
}

// False: the sum passes 63 bits.
bool addTaxes(const PriceList& list, Invoice& invoice, Money& sum) {
  const Money taxable = sum;
  for (const auto& tax : list.taxes) {
    const Money cost = share(taxable, tax.partsPerMillion, kWhole);
    const std::string text = tax.name + ' ' + moneyText(Money{tax.partsPerMillion} * 100) + " %";
    auto line = textLine(ChargeKind::tax, tax.name, text, invoice.period, cost);
    line.priceList = list.name;
    invoice.lines.push_back(std::move(line));
    if (__builtin_add_overflow(sum, cost, &sum)) return false;
  }
  return true;
}

// Likewise.
bool roundToCoin(Invoice& invoice, Money& sum) {
  Money coin = kMicros;
  for (unsigned i = 0; i < minorDigits(invoice.currency); ++i) coin /= 10;
  const Money up = sum < 0 ? -coin / 2 : coin / 2;
  Money rounded = 0;
  if (__builtin_add_overflow(sum, up, &rounded)) return false;
  rounded = rounded / coin * coin;
  if (rounded != sum)
    invoice.lines.push_back(
        textLine(ChargeKind::rounding, "rounding", "rounding to " + moneyText(coin), invoice.period, rounded - sum));
  sum = rounded;
  return true;
}

}  // namespace

std::vector<InvoiceLine> billedLines(const Invoice& invoice, const Period& month) {
  std::vector<InvoiceLine> lines;
  for (const auto& line : invoice.lines) {
    const bool own = line.kind == ChargeKind::usage || line.kind == ChargeKind::fee || line.kind == ChargeKind::minimum;
    const bool correction = line.kind == ChargeKind::correction && line.from == month.from;
    if (correction || (own && invoice.period == month)) lines.push_back(line);
  }
  return lines;
}

std::vector<InvoiceLine> linesOf(const std::vector<Charge>& charges) {
  std::map<LineKey, InvoiceLine> lines;
  for (const auto& charge : charges) {
    auto& line = lines[{charge.kind, charge.priceList, charge.sku, charge.appId}];
    if (line.to == 0) {
      line.kind = charge.kind;
      line.sku = charge.sku;
      line.appId = charge.appId;
      line.priceList = charge.priceList;
      line.from = charge.from;
      line.meter = charge.meter;
      line.unit = charge.unit;
    }
    line.from = std::min(line.from, charge.from);
    line.to = std::max(line.to, charge.to);
    line.quantity += charge.quantity;
    line.cost += charge.cost;
  }
  std::vector<InvoiceLine> all;
  all.reserve(lines.size());
  for (auto& [key, line] : lines) all.push_back(std::move(line));
  return all;
}

std::vector<InvoiceLine> correctionsOf(const BilledMonth& billed, const std::vector<InvoiceLine>& now) {
  struct Both {
    InvoiceLine line;
    Quantity before = 0;
    Quantity after = 0;
  };
  std::map<LineKey, Both> lines;
  const auto find = [&](const InvoiceLine& line) -> Both& {
    auto& both = lines[correctedKey(line)];
    if (both.line.to == 0) {
      both.line = line;
      both.line.kind = ChargeKind::correction;
      both.line.from = billed.period.from;
      both.line.to = billed.period.to;
      both.line.cost = 0;
      both.line.text = "late usage of " + monthText(billed.period);
    }
    return both;
  };
  for (const auto& line : billed.lines) {
    auto& both = find(line);
    both.before += line.quantity;
    both.line.cost -= line.cost;
  }
  for (const auto& line : now) {
    auto& both = find(line);
    both.after += line.quantity;
    both.line.cost += line.cost;
  }
  std::vector<InvoiceLine> all;
  for (auto& [key, both] : lines) {
    both.line.quantity = both.after > both.before ? both.after - both.before : 0;
    if (both.line.cost != 0 || both.line.quantity != 0) all.push_back(std::move(both.line));
  }
  return all;
}

Result<Invoice> makeInvoice(const PriceBook& book, const InvoiceInput& input) {
  const auto* list = lastList(book, input.period);
  if (list == nullptr) return Error{"invoice", "no price list covers", monthText(input.period), 0};
  Invoice invoice;
  invoice.id = invoiceId(input.tenantId, input.period);
  invoice.tenantId = input.tenantId;
  invoice.tenantName = input.tenantName;
  invoice.period = input.period;
  invoice.currency = list->currency;
  invoice.lines = input.lines;
  invoice.lines.insert(invoice.lines.end(), input.corrections.begin(), input.corrections.end());
  invoice.lastRow = input.lastRow;
  invoice.head = input.head;
  Money sum = 0;
  for (const auto& line : invoice.lines) {
    if (__builtin_add_overflow(sum, line.cost, &sum)) return tooLarge(line.sku);
  }
  useCredits(input.credits, invoice, sum);
  if (!addTaxes(*list, invoice, sum)) return tooLarge("taxes");
  if (!roundToCoin(invoice, sum)) return tooLarge("rounding");
  invoice.total = sum;
  return invoice;
}

std::string invoiceId(const std::string& tenantId, const Period& period) {
  return "inv-" + tenantId + '-' + monthText(period);
}

unsigned minorDigits(const std::string& currency) {
  constexpr std::array kNone = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"};
  constexpr std::array kThree = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"};
  const auto among = [&](const auto& list) { return std::find(list.begin(), list.end(), currency) != list.end(); };
  if (among(kNone)) return 0;
  return among(kThree) ? 3 : 2;
}

std::string describe(const InvoiceLine& line) {
  switch (line.kind) {
    case ChargeKind::usage:
      return std::string(serviceName(line.meter)) + ": " + meterName(line.meter);
    case ChargeKind::fee:
      return "Base fee: " + line.sku;
    case ChargeKind::minimum:
      return "Up to the monthly minimum";
    case ChargeKind::correction:
      return "Correction: " + line.sku + ", " + line.text;
    case ChargeKind::credit:
      return "Credit: " + line.text;
    case ChargeKind::tax:
    case ChargeKind::rounding:
      return line.text;
  }
  return {};
}

}  // namespace cloister::metering
