#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <sstream>

#include "metering/rating/invoice.h"

#include "sandbox/base/utf8.h"

namespace cloister::metering {
namespace {

using Object = Poco::JSON::Object;

// Thrown and caught in this file: the JSON boundary.
struct Refused {
  Error error;
};
[[noreturn]] void refuse(const std::string& field) {
  throw Refused{Error{"invoice", "is not what an invoice has there", field, 0}};
}

Object::Ptr object() {
  return new Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

Object::Ptr show(const InvoiceLine& line) {
  auto out = object();
  out->set("kind", std::string(chargeKindName(line.kind)));
  out->set("sku", line.sku);
  out->set("description", describe(line));
  if (!line.appId.empty()) out->set("app", line.appId);
  if (!line.priceList.empty()) out->set("price_list", line.priceList);
  out->set("from", utcText(line.from));
  out->set("to", utcText(line.to));
  if (!line.unit.empty()) {
    out->set("meter", std::string(meterName(line.meter)));
    out->set("unit", line.unit);
    out->set("quantity", decimal(line.quantity));
    out->set("quantity_unit", std::string(meterUnit(line.meter)));
    out->set("pricing_quantity", unitsText(line.quantity, findUnit(line.unit)->per, 6));
  }
  if (!line.text.empty()) out->set("text", line.text);
  out->set("cost", moneyText(line.cost));
  return out;
}

std::string textOf(const Object& from, const std::string& name) {
  const auto value = from.get(name);
  if (!value.isString()) refuse(name);
  return value.extract<std::string>();
}

std::string optionalText(const Object& from, const std::string& name) {
  return from.has(name) ? textOf(from, name) : std::string();
}

Money moneyOf(const Object& from, const std::string& name) {
  const auto money = parseMoney(textOf(from, name));
  if (!money) refuse(name);
  return *money;
}

std::int64_t momentOf(const Object& from, const std::string& name) {
  const auto at = parseUtc(textOf(from, name));
  if (!at) refuse(name);
  return *at;
}

Quantity quantityOf(const Object& from, const std::string& name) {
  constexpr std::size_t kMostDigits = 38;  // below 2^127
  const auto text = textOf(from, name);
  if (text.empty() || text.size() > kMostDigits) refuse(name);
  Quantity quantity = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') refuse(name);
    quantity = quantity * 10 + static_cast<Quantity>(c - '0');
  }
  return quantity;
}

InvoiceLine lineOf(const Object& from) {
  InvoiceLine line;
  if (!chargeKindFromName(textOf(from, "kind"), line.kind)) refuse("kind");
  line.sku = textOf(from, "sku");
  line.appId = optionalText(from, "app");
  line.priceList = optionalText(from, "price_list");
  line.from = momentOf(from, "from");
  line.to = momentOf(from, "to");
  line.unit = optionalText(from, "unit");
  if (!line.unit.empty()) {
    if (findUnit(line.unit) == nullptr) refuse("unit");
    if (!meterFromName(textOf(from, "meter"), line.meter)) refuse("meter");
    line.quantity = quantityOf(from, "quantity");
  }
  line.text = optionalText(from, "text");
  line.cost = moneyOf(from, "cost");
  return line;
}

Invoice read(const Object& from) {
  Invoice invoice;
  invoice.id = textOf(from, "id");
  invoice.tenantId = textOf(from, "tenant_id");
  invoice.tenantName = textOf(from, "tenant");
  const auto period = parseMonth(textOf(from, "period"));
  if (!period) refuse("period");
  invoice.period = *period;
  invoice.currency = textOf(from, "currency");
  invoice.total = moneyOf(from, "total");
  const auto ledger = from.getObject("ledger");
  if (ledger.isNull()) refuse("ledger");
  invoice.lastRow = static_cast<std::uint64_t>(quantityOf(*ledger, "last_row"));
  invoice.head = textOf(*ledger, "head");
  if (from.has("closed_at")) invoice.closedAt = momentOf(from, "closed_at");
  const auto lines = from.getArray("lines");
  if (lines.isNull()) refuse("lines");
  for (unsigned i = 0; i < lines->size(); ++i) {
    const auto line = lines->getObject(i);
    if (line.isNull()) refuse("lines[" + std::to_string(i) + "]");
    invoice.lines.push_back(lineOf(*line));
  }
  return invoice;
}

}  // namespace

std::string toJson(const Invoice& invoice) {
  auto out = object();
  out->set("id", invoice.id);
  out->set("tenant_id", invoice.tenantId);
  out->set("tenant", invoice.tenantName);
  out->set("period", monthText(invoice.period));
  out->set("from", utcText(invoice.period.from));
  out->set("to", utcText(invoice.period.to));
  out->set("state", std::string(invoice.closedAt == 0 ? "draft" : "closed"));
  if (invoice.closedAt != 0) out->set("closed_at", utcText(invoice.closedAt));
  out->set("currency", invoice.currency);
  out->set("total", moneyText(invoice.total));
  auto ledger = object();
  ledger->set("last_row", std::to_string(invoice.lastRow));
  ledger->set("head", invoice.head);
  out->set("ledger", ledger);
  Poco::JSON::Array::Ptr lines = new Poco::JSON::Array;
  for (const auto& line : invoice.lines) lines->add(show(line));
  out->set("lines", lines);
  std::ostringstream text;
  out->stringify(text);
  return utf8::jsonText(text.str());
}

Result<Invoice> invoiceFromJson(const std::string& text) {
  try {
    Poco::JSON::Parser parser;
    const auto parsed = parser.parse(text);
    if (parsed.type() != typeid(Object::Ptr)) refuse("");
    return read(*parsed.extract<Object::Ptr>());
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const Poco::Exception& error) {
    return Error{"invoice", "is no JSON: " + error.displayText(), "", 0};
  }
}

}  // namespace cloister::metering
