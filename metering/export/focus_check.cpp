#include "metering/export/focus_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>

#include "metering/base/calendar.h"

namespace cloister::metering {
namespace {

using Fields = std::vector<std::string>;

enum class Null { no, yes };
struct Column {
  std::string_view name;
  Null nullable;
  FocusVersion since = FocusVersion::v12;
};
constexpr std::array kMandatory = {Column{"BilledCost", Null::no},
                                   Column{"BillingAccountId", Null::no},
                                   Column{"BillingAccountName", Null::yes},
                                   Column{"BillingCurrency", Null::no},
                                   Column{"BillingPeriodEnd", Null::no},
                                   Column{"BillingPeriodStart", Null::no},
                                   Column{"ChargeCategory", Null::no},
                                   Column{"ChargeClass", Null::yes},
                                   Column{"ChargeDescription", Null::yes},
                                   Column{"ChargePeriodEnd", Null::no},
                                   Column{"ChargePeriodStart", Null::no},
                                   Column{"ContractedCost", Null::no},
                                   Column{"EffectiveCost", Null::no},
                                   Column{"InvoiceIssuerName", Null::no},
                                   Column{"ListCost", Null::no},
                                   Column{"PricingQuantity", Null::yes},
                                   Column{"PricingUnit", Null::yes},
                                   Column{"ProviderName", Null::no},
                                   Column{"PublisherName", Null::no},
                                   Column{"ServiceCategory", Null::no},
                                   Column{"ServiceName", Null::no},
                                   Column{"ServiceProviderName", Null::no, FocusVersion::v13},
                                   Column{"HostProviderName", Null::yes, FocusVersion::v13}};
constexpr std::array<std::string_view, 36> kOptional = {"AvailabilityZone",
                                                        "BillingAccountType",
                                                        "CapacityReservationId",
                                                        "CapacityReservationStatus",
                                                        "ChargeFrequency",
                                                        "CommitmentDiscountCategory",
                                                        "CommitmentDiscountId",
                                                        "CommitmentDiscountName",
                                                        "CommitmentDiscountQuantity",
                                                        "CommitmentDiscountStatus",
                                                        "CommitmentDiscountType",
                                                        "CommitmentDiscountUnit",
                                                        "ConsumedQuantity",
                                                        "ConsumedUnit",
                                                        "ContractedUnitPrice",
                                                        "InvoiceId",
                                                        "ListUnitPrice",
                                                        "PricingCategory",
                                                        "PricingCurrency",
                                                        "PricingCurrencyContractedUnitPrice",
                                                        "PricingCurrencyEffectiveCost",
                                                        "PricingCurrencyListUnitPrice",
                                                        "RegionId",
                                                        "RegionName",
                                                        "ResourceId",
                                                        "ResourceName",
                                                        "ResourceType",
                                                        "ServiceSubcategory",
                                                        "SkuId",
                                                        "SkuMeter",
                                                        "SkuPriceDetails",
                                                        "SkuPriceId",
                                                        "SubAccountId",
                                                        "SubAccountName",
                                                        "SubAccountType",
                                                        "Tags"};
constexpr std::array<std::string_view, 6> kOptionalSince13 = {"AllocatedMethodDetails", "AllocatedMethodId",
                                                              "AllocatedResourceId",    "AllocatedResourceName",
                                                              "AllocatedTags",          "ContractApplied"};
constexpr std::array kNumbers = {"BilledCost",    "ContractedCost",      "EffectiveCost",   "ListCost",
                                 "ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "ConsumedQuantity"};
constexpr std::array<std::string_view, 3> kLineage = {"x_LedgerFirstSeq", "x_LedgerLastSeq", "x_ChainHead"};
const std::map<std::string, std::set<std::string>, std::less<>> kEnumerations = {
    {"ChargeCategory", {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}},
    {"ChargeClass", {"", "Correction"}},
    {"ChargeFrequency", {"", "One-Time", "Recurring", "Usage-Based"}},
    {"PricingCategory", {"", "Standard", "Dynamic", "Committed", "Other"}},
    {"ServiceCategory",
     {"AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
      "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration",
      "Mobile", "Networking", "Security", "Storage", "Web", "Other"}}};

// RFC 4180: the next record of `text` from `at`; false at the end. Quotes that do not close take all that is left.
bool nextRecord(const std::string& text, std::size_t& at, Fields& fields) {
  fields.clear();
  if (at >= text.size()) return false;
  std::string field;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (at + 1 < text.size() && text[at + 1] == '"') {
        field += text[++at];
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == ',') {
      fields.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r') {
      field += c;
    }
  }
  fields.push_back(std::move(field));
  return true;
}

bool isDecimal(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  const auto point = text.find('.');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return digits(text.substr(0, point)) && (point == std::string_view::npos || digits(text.substr(point + 1)));
}

// The ledger's rows that an invoice's usage and purchases rest on, and those that the rows after them do.
struct Following {
  std::uint64_t row = 0;  // of the file
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
struct InvoiceRows {
  std::uint64_t first = UINT64_MAX;
  std::uint64_t last = 0;
  std::vector<Following> following;
};

class Checker {
 public:
  Checker(const std::string& csv, FocusVersion version) : csv_(csv), version_(version) {}

  FocusReport run() {
    std::size_t at = 0;
    if (!nextRecord(csv_, at, header_)) {
      find("the file is empty");
      return report_;
    }
    checkHeader();
    while (report_.findings.size() < kMostFindings && nextRecord(csv_, at, fields_)) {
      ++report_.rows;
      if (fields_.size() != header_.size()) {
        find("has " + std::to_string(fields_.size()) + " fields, the header " + std::to_string(header_.size()));
        continue;
      }
      checkRow();
    }
    checkFollowing();
    return std::move(report_);
  }

 private:
  void findIn(std::uint64_t row, const std::string& what) {
    if (report_.findings.size() < kMostFindings) report_.findings.push_back("row " + std::to_string(row) + ": " + what);
  }
  void find(const std::string& what) { findIn(report_.rows, what); }
  void find(std::string_view column, const std::string& what) { find(std::string(column) + ": " + what); }

  void checkHeader() {
    for (std::size_t i = 0; i < header_.size(); ++i) {
      if (!columns_.emplace(header_[i], i).second) find(header_[i], "stands there twice");
    }
    for (const auto& column : kMandatory) {
      if (isIn(column) && columns_.find(column.name) == columns_.end()) find(column.name, "is missing");
    }
    for (const auto& name : header_) {
      if (!isDefined(name) && !name.starts_with("x_"))
        find(name, "is no column of FOCUS " + std::string(focusVersionText(version_)) + ", and has no x_ before it");
    }
  }

  [[nodiscard]] bool isIn(const Column& column) const { return column.since <= version_; }
  [[nodiscard]] bool isDefined(std::string_view name) const {
    const auto has = [name](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    return has(kOptional) || (version_ == FocusVersion::v13 && has(kOptionalSince13)) ||
           std::any_of(kMandatory.begin(), kMandatory.end(),
                       [this, name](const Column& one) { return isIn(one) && one.name == name; });
  }

  [[nodiscard]] const std::string& value(std::string_view column) const {
    static const std::string kNone;
    const auto found = columns_.find(column);
    return found == columns_.end() ? kNone : fields_[found->second];
  }

  void checkRow() {
    for (const auto& column : kMandatory) {
      if (isIn(column) && column.nullable == Null::no && value(column.name).empty())
        find(column.name, "must not be null");
    }
    for (const auto* column : kNumbers) {
      if (const auto& text = value(column); !text.empty() && !isDecimal(text)) find(column, "is no plain decimal");
    }
    for (const auto& [column, values] : kEnumerations) {
      if (!values.contains(value(column))) find(column, "\"" + value(column) + "\" is no value of it");
    }
    const auto& currency = value("BillingCurrency");
    if (currency.size() != 3 ||
        !std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
      find("BillingCurrency", "is no ISO 4217 code");
    checkPeriods();
    checkHost();
    checkPrices();
    checkLineage();
    if (const auto cost = parseMoney(value("BilledCost"))) {
      report_.billed[value("InvoiceId")] += *cost;
    } else {
      find("BilledCost", "has more than six digits behind the point");
    }
  }

  std::optional<std::int64_t> moment(std::string_view column) {
    const auto& text = value(column);
    const auto at = parseUtc(text);
    if (!at) find(column, "\"" + text + "\" is no moment in UTC");
    return at;
  }

  void checkPeriods() {
    const auto billingFrom = moment("BillingPeriodStart");
    const auto billingTo = moment("BillingPeriodEnd");
    const auto from = moment("ChargePeriodStart");
    const auto to = moment("ChargePeriodEnd");
    if (!billingFrom || !billingTo || !from || !to) return;
    if (*billingFrom >= *billingTo) find("BillingPeriodEnd", "is not after its start");
    if (*from >= *to) find("ChargePeriodEnd", "is not after its start");
    if (value("ChargeClass").empty() && (*from < *billingFrom || *to > *billingTo))
      find("ChargePeriodStart", "lies outside of the billing period, and the row is no correction");
  }

  // What is taxed or adjusted may be on several hosts.
  void checkHost() {
    if (version_ < FocusVersion::v13 || !value("HostProviderName").empty()) return;
    const auto& category = value("ChargeCategory");
    if (category != "Tax" && category != "Adjustment") find("HostProviderName", "must not be null for " + category);
  }

  void mustBeNull(std::string_view column) {
    if (!value(column).empty()) find(column, "must be null for " + value("ChargeCategory"));
  }

  void checkPrices() {
    const auto& category = value("ChargeCategory");
    const bool correction = value("ChargeClass") == "Correction";
    if (category == "Tax") {
      for (const auto* column : {"SkuId", "SkuPriceId", "PricingQuantity", "PricingUnit", "ListUnitPrice",
                                 "ContractedUnitPrice", "PricingCategory"})
        mustBeNull(column);
    }
    if (category != "Usage") {
      for (const auto* column : {"ConsumedQuantity", "ConsumedUnit"}) mustBeNull(column);
    }
    if ((category != "Usage" && category != "Purchase") || correction) return;
    for (const auto* column :
         {"PricingQuantity", "PricingUnit", "ListUnitPrice", "PricingCategory", "SkuId", "SkuPriceId"}) {
      if (value(column).empty()) find(column, "must not be null for " + category);
    }
    if (category == "Usage" && (value("ConsumedQuantity").empty() || value("ConsumedUnit").empty()))
      find("ConsumedQuantity", "must not be null for Usage");
    const double product =
        std::strtod(value("PricingQuantity").c_str(), nullptr) * std::strtod(value("ListUnitPrice").c_str(), nullptr);
    const double cost = std::strtod(value("ListCost").c_str(), nullptr);
    // A charge is the difference of two rounded sums: at most one micro-unit beside the product.
    constexpr double kMicroUnit = 1e-6;
    if (std::fabs(product - cost) > 1.01 * kMicroUnit + std::fabs(product) * 1e-12)
      find("ListCost", "is not the product of quantity and unit price");
  }

  std::optional<std::uint64_t> sequence(std::string_view column) {
    const auto& text = value(column);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
    find(column, "\"" + text + "\" is no row of the ledger");
    return std::nullopt;
  }

  void checkLineage() {
    if (std::none_of(kLineage.begin(), kLineage.end(),
                     [this](std::string_view column) { return columns_.contains(column); }))
      return;
    const auto first = sequence("x_LedgerFirstSeq");
    const auto last = sequence("x_LedgerLastSeq");
    const auto& head = value("x_ChainHead");
    if (!first || !last) return;
    if (*first > *last) find("x_LedgerFirstSeq", "is beyond the last");
    if (*last != 0 && (head.size() != 64 || head.find_first_not_of("0123456789abcdef") != std::string::npos))
      find("x_ChainHead", "is no SHA-256");
    if (heads_.try_emplace({value("BillingAccountId"), *last}, head).first->second != head)
      find("x_ChainHead", "is another than that of a row before with the same x_LedgerLastSeq");
    const auto& category = value("ChargeCategory");
    auto& rows = invoices_[value("InvoiceId")];
    if (category == "Usage" || category == "Purchase") {
      rows.first = std::min(rows.first, *first);
      rows.last = std::max(rows.last, *last);
    } else {
      rows.following.push_back({report_.rows, *first, *last});
    }
  }

  // Credits, taxes and adjustments follow from the other charges, which may stand behind them.
  void checkFollowing() {
    for (const auto& [invoice, rows] : invoices_) {
      for (const auto& one : rows.following) {
        if (one.first > rows.first)
          findIn(one.row, "x_LedgerFirstSeq: leaves out rows that \"" + invoice + "\" rests on");
        if (one.last < rows.last) findIn(one.row, "x_LedgerLastSeq: leaves out rows that \"" + invoice + "\" rests on");
      }
    }
  }

  const std::string& csv_;
  FocusVersion version_;
  FocusReport report_;
  Fields header_;
  Fields fields_;
  std::map<std::string, std::size_t, std::less<>> columns_;
  std::map<std::pair<std::string, std::uint64_t>, std::string> heads_;  // by BillingAccountId and row
  std::map<std::string, InvoiceRows> invoices_;                         // by InvoiceId
};

}  // namespace

FocusReport checkFocus(const std::string& csv, FocusVersion version) {
  return Checker(csv, version).run();
}

}  // namespace cloister::metering
