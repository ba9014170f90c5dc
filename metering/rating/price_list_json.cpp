#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string_view>

#include "metering/rating/price_list.h"

#include "sandbox/base/utf8.h"

namespace cloister::metering {
namespace {

using Object = Poco::JSON::Object;

constexpr std::size_t kMostEntries = 200;
constexpr std::size_t kMostText = 64;
constexpr std::uint64_t kMostUnits = 1'000'000'000'000;
constexpr std::array kOverTransfer = {std::string_view("charge"), std::string_view("throttle"),
                                      std::string_view("stop")};

// Thrown and caught in this file: the JSON boundary.
struct Refused {
  Error error;
};
[[noreturn]] void refuse(const std::string& field, const std::string& reason) {
  throw Refused{Error{"price list", reason, field, 0}};
}

// An object whose members are read by name; whatever is left is unknown.
class Members {
 public:
  Members(Object::Ptr object, std::string path) : object_(std::move(object)), path_(std::move(path)) {
    for (const auto& [name, value] : *object_) unread_.insert(name);
  }
  [[nodiscard]] std::string field(const std::string& name) const { return path_.empty() ? name : path_ + '.' + name; }
  [[nodiscard]] bool has(const std::string& name) const { return object_->has(name); }

  std::string text(const std::string& name) {
    const auto value = take(name);
    if (!value.isString()) refuse(field(name), "must be a string");
    auto text = value.extract<std::string>();
    const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
    if (text.empty() || text.size() > kMostText || !plain)
      refuse(field(name), "must have 1 to " + std::to_string(kMostText) + " printable characters");
    return text;
  }
  std::uint64_t units(const std::string& name) {
    const auto value = take(name);
    // The parser gives what is beyond 63 bits as an unsigned number, wrapped beyond 64.
    if (!value.isInteger() || value.type() == typeid(Poco::UInt64) || value < 0 || value > kMostUnits)
      refuse(field(name), "must be a whole number from 0 to " + std::to_string(kMostUnits));
    return value.convert<std::uint64_t>();
  }
  Money money(const std::string& name) {
    const auto amount = parseMoney(text(name));
    if (!amount || *amount < 0)
      refuse(field(name), "must be a decimal of at most six digits behind the point, as text");
    return *amount;
  }
  std::int64_t moment(const std::string& name) {
    const auto at = parseUtc(text(name));
    if (!at || hourOf(*at) != *at) refuse(field(name), "must be a whole hour such as 2026-01-01T00:00:00Z");
    return *at;
  }
  template <typename Each>
  void list(const std::string& name, Each each) {
    if (!has(name)) return;
    const auto value = take(name);
    if (value.type() != typeid(Poco::JSON::Array::Ptr)) refuse(field(name), "must be a list");
    const auto array = value.extract<Poco::JSON::Array::Ptr>();
    if (array->size() > kMostEntries) refuse(field(name), "has more than " + std::to_string(kMostEntries) + " entries");
    for (unsigned i = 0; i < array->size(); ++i) {
      const std::string path = field(name) + '[' + std::to_string(i) + ']';
      if (!array->isObject(i)) refuse(path, "must be an object");
      Members members(array->getObject(i), path);
      each(members);
      members.finish();
    }
  }
  void finish() const {
    if (!unread_.empty()) refuse(field(*unread_.begin()), "is not known");
  }

 private:
  Poco::Dynamic::Var take(const std::string& name) {
    if (!object_->has(name)) refuse(field(name), "is missing");
    unread_.erase(name);
    return object_->get(name);
  }
  Object::Ptr object_;
  std::string path_;
  std::set<std::string> unread_;
};

void readTiers(Members& members, PriceItem& item) {
  std::uint64_t begin = 0;
  members.list("tiers", [&](Members& entry) {
    if (!item.tiers.empty() && item.tiers.back().upTo == kNoEnd)
      refuse(entry.field("up_to"), "follows a tier without an end");
    Tier tier;
    // Said, `from` must be where the tier before ends: so a gap or an overlap is seen.
    if (entry.has("from")) {
      if (const auto from = entry.units("from"); from != begin)
        refuse(entry.field("from"), std::string(from > begin ? "leaves a gap: " : "overlaps: ") +
                                        "the tier before ends at " + std::to_string(begin));
    }
    if (entry.has("up_to")) {
      tier.upTo = entry.units("up_to");
      if (tier.upTo <= begin) refuse(entry.field("up_to"), "must be above " + std::to_string(begin));
      begin = tier.upTo;
    }
    const auto price = parseUnitPrice(entry.text("price"));
    if (!price) refuse(entry.field("price"), "must be a decimal of at most nine digits behind the point, as text");
    tier.price = *price;
    item.tiers.push_back(tier);
  });
  if (item.tiers.empty()) refuse(members.field("tiers"), "must have a price");
  if (item.tiers.back().upTo != kNoEnd)
    refuse(members.field("tiers"), "the last tier must have no up_to: use beyond it has no price");
}

PriceItem readItem(Members& members) {
  PriceItem item;
  item.sku = members.text("sku");
  if (item.sku == "minimum" || item.sku == "rounding" || item.sku.starts_with("plan-"))
    refuse(members.field("sku"), "\"" + item.sku + "\" is an invoice's own");
  const auto meter = members.text("meter");
  if (!meterFromName(meter, item.meter) || !isBillable(item.meter))
    refuse(members.field("meter"), "\"" + meter + "\" is no meter that can be sold");
  item.unit = members.text("unit");
  const auto* unit = findUnit(item.unit);
  if (unit == nullptr) refuse(members.field("unit"), "must be one of " + std::string(unitNames()));
  if (unit->base != meterUnit(item.meter))
    refuse(members.field("unit"), "\"" + item.unit + "\" does not measure \"" + meter + "\"");
  if (members.has("included")) item.included = members.units("included");
  readTiers(members, item);
  return item;
}

PlanTerms readTerms(Members& members) {
  PlanTerms terms;
  terms.plan = members.text("plan");
  terms.fee = members.money("fee");
  if (members.has("transfer_gb")) terms.transferBytes = members.units("transfer_gb") * 1'000'000'000;
  if (members.has("over_transfer")) {
    const auto text = members.text("over_transfer");
    const auto* found = std::find(kOverTransfer.begin(), kOverTransfer.end(), text);
    if (found == kOverTransfer.end()) refuse(members.field("over_transfer"), "must be charge, throttle or stop");
    if (terms.transferBytes == 0) refuse(members.field("over_transfer"), "needs transfer_gb");
    terms.overTransfer = static_cast<OverTransfer>(found - kOverTransfer.begin());
  }
  return terms;
}

Tax readTax(Members& members) {
  constexpr Money kMicrosAPart = 100;  // one part per million is 0.0001 %
  Tax tax;
  tax.name = members.text("name");
  const Money percent = members.money("percent");
  if (percent > 100 * kMicros || percent % kMicrosAPart != 0)
    refuse(members.field("percent"), "must be at most 100, with at most four digits behind the point");
  tax.partsPerMillion = static_cast<std::uint32_t>(percent / kMicrosAPart);
  return tax;
}

template <typename T, typename Key>
void refuseTwice(const std::vector<T>& entries, Key key, const std::string& field) {
  std::set<std::string> seen;
  for (const auto& entry : entries) {
    if (!seen.insert(key(entry)).second) refuse(field, "\"" + key(entry) + "\" stands there twice");
  }
}

PriceList read(const Object::Ptr& object) {
  Members members(object, "");
  PriceList list;
  list.name = members.text("name");
  list.currency = members.text("currency");
  const bool code = list.currency.size() == 3 && std::all_of(list.currency.begin(), list.currency.end(),
                                                             [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!code) refuse("currency", "must be three capital letters (ISO 4217)");
  list.from = members.moment("from");
  if (members.has("to")) list.to = members.moment("to");
  if (list.from >= list.to) refuse("to", "must be after from");
  if (members.has("minimum")) list.minimum = members.money("minimum");
  members.list("items", [&](Members& entry) { list.items.push_back(readItem(entry)); });
  members.list("plans", [&](Members& entry) { list.plans.push_back(readTerms(entry)); });
  members.list("taxes", [&](Members& entry) { list.taxes.push_back(readTax(entry)); });
  members.finish();
  refuseTwice(
      list.items, [](const PriceItem& item) { return item.sku; }, "items");
  refuseTwice(
      list.plans, [](const PlanTerms& terms) { return terms.plan; }, "plans");
  refuseTwice(
      list.taxes, [](const Tax& tax) { return tax.name; }, "taxes");
  return list;
}

Object::Ptr object() {
  return new Object(Poco::JSON_PRESERVE_KEY_ORDER);
}

Object::Ptr show(const PriceItem& item) {
  auto out = object();
  out->set("sku", item.sku);
  out->set("meter", std::string(meterName(item.meter)));
  out->set("unit", item.unit);
  if (item.included != 0) out->set("included", item.included);
  Poco::JSON::Array::Ptr tiers = new Poco::JSON::Array;
  for (const auto& tier : item.tiers) {
    auto entry = object();
    if (tier.upTo != kNoEnd) entry->set("up_to", tier.upTo);
    entry->set("price", unitPriceText(tier.price));
    tiers->add(entry);
  }
  out->set("tiers", tiers);
  return out;
}

Object::Ptr show(const PlanTerms& terms) {
  auto out = object();
  out->set("plan", terms.plan);
  out->set("fee", moneyText(terms.fee));
  if (terms.transferBytes == 0) return out;
  out->set("transfer_gb", terms.transferBytes / 1'000'000'000);
  out->set("over_transfer", std::string(kOverTransfer.at(static_cast<std::size_t>(terms.overTransfer))));
  return out;
}

Object::Ptr show(const Tax& tax) {
  auto out = object();
  out->set("name", tax.name);
  out->set("percent", moneyText(Money{tax.partsPerMillion} * 100));
  return out;
}

template <typename T>
Poco::JSON::Array::Ptr showAll(const std::vector<T>& entries) {
  Poco::JSON::Array::Ptr out = new Poco::JSON::Array;
  for (const auto& entry : entries) out->add(show(entry));
  return out;
}

}  // namespace

Result<PriceList> priceListFromJson(const std::string& text) {
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(8);
    const auto parsed = parser.parse(text);
    if (parsed.type() != typeid(Object::Ptr)) refuse("", "must be a JSON object");
    return read(parsed.extract<Object::Ptr>());
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const Poco::Exception& error) {
    return Error{"price list", "is no JSON: " + error.displayText(), "", 0};
  }
}

std::string toJson(const PriceList& list) {
  auto out = object();
  out->set("name", list.name);
  out->set("currency", list.currency);
  out->set("from", utcText(list.from));
  if (list.to != kOpenEnd) out->set("to", utcText(list.to));
  out->set("minimum", moneyText(list.minimum));
  out->set("items", showAll(list.items));
  out->set("plans", showAll(list.plans));
  out->set("taxes", showAll(list.taxes));
  std::ostringstream text;
  out->stringify(text);
  return utf8::jsonText(text.str());
}

}  // namespace cloister::metering
