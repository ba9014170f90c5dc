#include "metering/export/focus.h"

#include <array>

namespace cloister::metering {
namespace {

using Row = std::vector<std::string>;

constexpr std::array kColumns = {"BilledCost",
                                 "BillingAccountId",
                                 "BillingAccountName",
                                 "BillingCurrency",
                                 "BillingPeriodEnd",
                                 "BillingPeriodStart",
                                 "ChargeCategory",
                                 "ChargeClass",
                                 "ChargeDescription",
                                 "ChargeFrequency",
                                 "ChargePeriodEnd",
                                 "ChargePeriodStart",
                                 "ConsumedQuantity",
                                 "ConsumedUnit",
                                 "ContractedCost",
                                 "ContractedUnitPrice",
                                 "EffectiveCost",
                                 "HostProviderName",
                                 "InvoiceId",
                                 "InvoiceIssuerName",
                                 "ListCost",
                                 "ListUnitPrice",
                                 "PricingCategory",
                                 "PricingQuantity",
                                 "PricingUnit",
                                 "ProviderName",
                                 "PublisherName",
                                 "RegionId",
                                 "ResourceId",
                                 "ResourceName",
                                 "ServiceCategory",
                                 "ServiceName",
                                 "ServiceProviderName",
                                 "SkuId",
                                 "SkuPriceId",
                                 "SubAccountId",
                                 "SubAccountName",
                                 "Tags",
                                 "x_LedgerFirstSeq",
                                 "x_LedgerLastSeq",
                                 "x_ChainHead"};

bool isColumnOf(FocusVersion version, std::string_view column) {
  return version >= FocusVersion::v13 || (column != "HostProviderName" && column != "ServiceProviderName");
}

// Enough for a product with a price of nine digits to be right to the micro-unit.
constexpr unsigned kQuantityDigits = 15;

struct Kind {
  const char* category;
  const char* frequency;
};
Kind kindOf(ChargeKind kind) {
  switch (kind) {
    case ChargeKind::usage:
    case ChargeKind::correction:
      return {"Usage", "Usage-Based"};
    case ChargeKind::fee:
      return {"Purchase", "Recurring"};
    case ChargeKind::minimum:
    case ChargeKind::rounding:
      return {"Adjustment", "One-Time"};
    case ChargeKind::credit:
      return {"Credit", "One-Time"};
    case ChargeKind::tax:
      return {"Tax", "Recurring"};
  }
  return {"Adjustment", "One-Time"};
}

// What of a row is the same for a charge and for a line.
struct Entry {
  ChargeKind kind = ChargeKind::usage;
  std::string sku;
  std::string appId;
  std::string priceList;
  std::string description;
  Period span;
  Money cost = 0;
  const PricingUnit* unit = nullptr;
  Meter meter = Meter::cpu;
  Quantity quantity = 0;
  std::optional<UnitPrice> listPrice;
  RowRange rows;
};

class Writer {
 public:
  Writer(const Invoice& invoice, const FocusContext& context, const std::function<void(std::string_view)>& sink)
      : invoice_(invoice), context_(context), sink_(sink) {}

  void header() { write(Row(kColumns.begin(), kColumns.end())); }
  void entry(const Entry& entry) {
    const auto kind = kindOf(entry.kind);
    const std::string cost = moneyText(entry.cost);
    const bool purchase = entry.kind == ChargeKind::fee;
    const bool priced = entry.listPrice.has_value() || purchase;
    const std::string price = entry.listPrice ? unitPriceText(*entry.listPrice) : purchase ? cost : "";
    const auto app = context_.appNames.find(entry.appId);
    const std::string appName = app == context_.appNames.end() ? entry.appId : app->second;
    const std::string quantity =
        entry.unit != nullptr ? unitsText(entry.quantity, entry.unit->per, kQuantityDigits) : "";
    // A correction has a quantity, and no single price.
    const std::string unit = entry.unit != nullptr ? std::string(entry.unit->focus) : "";
    const bool usage = entry.unit != nullptr;
    write({cost,
           invoice_.tenantId,
           invoice_.tenantName,
           invoice_.currency,
           utcText(invoice_.period.to),
           utcText(invoice_.period.from),
           kind.category,
           entry.kind == ChargeKind::correction ? "Correction" : "",
           entry.description,
           kind.frequency,
           utcText(entry.span.to),
           utcText(entry.span.from),
           usage ? decimal(entry.quantity) : "",
           usage ? std::string(meterUnit(entry.meter)) : "",
           cost,
           price,
           cost,
           context_.issuer,
           invoice_.id,
           context_.issuer,
           cost,
           price,
           priced ? "Standard" : "",
           purchase ? "1" : quantity,
           purchase ? "Months" : unit,
           context_.issuer,
           context_.issuer,
           context_.region,
           entry.appId,
           appName,
           usage ? std::string(serviceCategory(entry.meter)) : "Other",
           usage ? std::string(serviceName(entry.meter)) : "Account",
           context_.issuer,
           entry.kind == ChargeKind::tax ? "" : entry.sku,
           entry.kind == ChargeKind::tax || entry.priceList.empty() ? "" : entry.priceList + '/' + entry.sku,
           entry.appId,
           appName,
           "{}",
           std::to_string(entry.rows.first),
           std::to_string(entry.rows.last),
           entry.rows.head});
  }

 private:
  // `row` has a field for each of kColumns.
  void write(const Row& row) {
    std::string text;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (isColumnOf(context_.version, kColumns[i])) text += (i == 0 ? "" : ",") + csvField(row[i]);
    }
    sink_(text + "\r\n");
  }
  const Invoice& invoice_;
  const FocusContext& context_;
  const std::function<void(std::string_view)>& sink_;
};

}  // namespace

std::string csvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

void writeFocus(const Invoice& invoice, const std::vector<Charge>& charges, const Lineage& lineage,
                const FocusContext& context, const std::function<void(std::string_view)>& sink) {
  Writer writer(invoice, context, sink);
  writer.header();
  for (const auto& charge : charges) {
    if (charge.kind != ChargeKind::usage) continue;
    Entry entry;
    entry.kind = charge.kind;
    entry.sku = charge.sku;
    entry.appId = charge.appId;
    entry.priceList = charge.priceList;
    entry.description = std::string(serviceName(charge.meter)) + ": " + meterName(charge.meter);
    entry.span = {charge.from, charge.to};
    entry.cost = charge.cost;
    entry.unit = findUnit(charge.unit);
    entry.meter = charge.meter;
    entry.quantity = charge.quantity;
    entry.listPrice = charge.listPrice;
    entry.rows = lineage.of(charge);
    writer.entry(entry);
  }
  for (const auto& line : invoice.lines) {
    if (line.kind == ChargeKind::usage) continue;
    Entry entry;
    entry.kind = line.kind;
    entry.sku = line.sku;
    entry.appId = line.appId;
    entry.priceList = line.priceList;
    entry.description = describe(line);
    entry.span = {line.from, line.to};
    entry.cost = line.cost;
    if (!line.unit.empty()) entry.unit = findUnit(line.unit);
    entry.meter = line.meter;
    entry.quantity = line.quantity;
    entry.rows = lineage.of(line);
    writer.entry(entry);
  }
}

}  // namespace cloister::metering
