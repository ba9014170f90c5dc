#include "metering/export/verify.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "metering/base/encoding.h"
#include "metering/base/lifecycle.h"
#include "metering/base/signing.h"
#include "metering/export/statement.h"
#include "metering/ledger/ledger_chain.h"

namespace cloister::metering {
namespace {

using Fields = std::vector<std::string_view>;

// Ends the verification; the finding is in the report. Thrown and caught in this file.
struct Finding {
  std::string text;
};

void split(std::string_view line, Fields& fields) {
  fields.clear();
  for (;;) {
    const auto tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return;
    line.remove_prefix(tab + 1);
  }
}

// Exactly what escapeField() writes.
bool unescape(std::string_view field, std::string& text) {
  text.assign(field);
  auto at = text.find('%');
  while (at != std::string::npos) {
    const auto code = text.substr(at, 3);
    const char c = code == "%09" ? '\t' : code == "%0A" ? '\n' : code == "%0D" ? '\r' : code == "%25" ? '%' : '\0';
    if (c == '\0') return false;
    text.replace(at, 3, 1, c);
    at = text.find('%', at + 1);
  }
  return true;
}

template <typename T>
bool number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && (text.size() == 1 || text.front() != '0');
}

class Verifier {
 public:
  Verifier(const std::function<bool(std::string&)>& next, std::string publicKey,
           const std::vector<std::string>& nodeKeys, const std::optional<PublishedHead>& head)
      : next_(next), publicKey_(std::move(publicKey)), head_(head), seals_(nodeKeys) {
    all_.begin();
  }

  StatementReport run() {
    try {
      if (head_ && !isSignedBy(publicKey_, *head_)) throw Finding{"the head is not signed by the key given"};
      readLines();
      if (head_ && head_->rows != 0 && !headMet_)
        throw Finding{"the head is of row " + std::to_string(head_->rows) + ", which this file does not have: it has " +
                      std::to_string(anchor_ + 1) + " to " + std::to_string(number_)};
      rateAgain();
    } catch (const Finding& finding) {
      report_.finding = finding.text;
    }
    report_.seals = seals_.counts();
    return std::move(report_);
  }

 private:
  [[noreturn]] void lineFails(const std::string& why) const {
    throw Finding{"line " + std::to_string(report_.lines + 1) + ": " + why};
  }

  void readLines() {
    std::string line;
    while (next_(line)) {
      if (sealed_) lineFails("stands behind the seal");
      split(line, fields_);
      if (fields_.front() == "row") {
        readRow();
      } else if (fields_.front() == "seal") {
        readSeal();
      } else {
        checkLine(line);
        readRecord();
      }
      if (!sealed_) all_.add(line).add("\n");
      ++report_.lines;
    }
    if (!sealed_) throw Finding{"the seal is missing: the file ends after line " + std::to_string(report_.lines)};
  }

  // The chain has come to `number_`. An empty one's head says nothing.
  void meetHead() {
    if (!head_ || head_->rows != number_ || number_ == 0) return;
    if (head_->hash != hexadecimal(previous_))
      throw Finding{"row " + std::to_string(number_) + ": the chain does not pass through the head of " +
                    head_->recordedAt + ": rows up to it have changed since"};
    headMet_ = true;
  }

  void checkLine(std::string_view line) {
    const auto end = line.rfind('\t');
    if (end == std::string_view::npos) lineFails("is no record");
    const auto hash = one_.begin().add(line.substr(0, end + 1)).end();
    if (line.substr(end + 1) != hexadecimal(hash).substr(0, kLineCheck))
      lineFails("the check of a \"" + escapeField(fields_.front().substr(0, 20)) + "\" record does not hold");
  }

  // The record's fields between its name and its check.
  void want(std::size_t count) const {
    if (fields_.size() != count + 2) lineFails("the record has not the fields of its kind");
  }
  std::string textField(std::size_t at) const {
    std::string text;
    if (!unescape(fields_.at(at), text)) lineFails("a field is not written as it must be");
    return text;
  }
  template <typename T>
  T numberField(std::size_t at) const {
    T value{};
    if (!number(fields_.at(at), value)) lineFails("a number is not written as it must be");
    return value;
  }

  void readRecord() {
    const auto kind = fields_.front();
    // In the order of the header: a record that came before cannot come again, but for those that may repeat.
    static constexpr std::array<std::string_view, 10> kOrder = {
        "cloister-statement", "tenant", "period", "key", "node", "prices", "event", "billed", "anchor", "invoice"};
    if (kind == "batch") {
      want(3);
      if (!anchored_) lineFails("a batch stands before the anchor");
      const auto source = textField(1);
      batch_ = batchPart(source, numberField<std::uint64_t>(2), textField(3));
      seals_.source(source);
      ownBatch_ = source == kControlPlane;
      return;
    }
    const auto place = static_cast<std::size_t>(std::find(kOrder.begin(), kOrder.end(), kind) - kOrder.begin());
    const bool repeats = kind == "node" || kind == "prices" || kind == "event" || kind == "billed";
    if (place == kOrder.size()) lineFails("the record's kind is unknown");
    if (place < place_ || (place == place_ && !repeats && report_.lines != 0)) lineFails("the record is out of order");
    if (place > place_ + 1 && place < 4) lineFails("a record is missing before this one");
    place_ = place;
    if (kind == "cloister-statement") {
      want(1);
      if (fields_[1] != "1" && fields_[1] != "2") lineFails("this is a statement of another version");
    } else if (kind == "tenant") {
      want(2);
      tenantId_ = textField(1);
      tenantName_ = textField(2);
      if (head_ && head_->tenantId != tenantId_) throw Finding{"the head is of another tenant"};
    } else if (kind == "period") {
      want(1);
      const auto period = parseMonth(fields_[1]);
      if (!period) lineFails("the period is no month");
      period_ = *period;
    } else if (kind == "key") {
      want(1);
      if (fields_[1] != publicKey_) lineFails("the file is signed by another key than the one given");
    } else if (kind == "prices") {
      want(1);
      const auto list = priceListFromJson(textField(1));
      if (!list) lineFails(list.error().message());
      if (auto added = addTo(book_, *list); !added) lineFails(added.error().message());
    } else if (kind == "event") {
      want(3);
      countEvent(numberField<std::int64_t>(2), textField(3));
    } else {
      readOtherKinds(kind);
    }
  }

  void readOtherKinds(std::string_view kind) {
    if (kind == "node") {
      want(3);
      (void)numberField<std::int64_t>(3);
      seals_.list(textField(1), textField(2));
      return;
    }
    if (kind == "anchor") {
      want(2);
      number_ = numberField<std::uint64_t>(1);
      const auto digits = fields_[2];
      for (std::size_t i = 0; i < previous_.size(); ++i) {
        unsigned byte = 0;
        if (digits.size() != 2 * previous_.size() ||
            std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, byte, 16).ptr !=
                digits.data() + 2 * i + 2)
          lineFails("the anchor is no hash");
        previous_.at(i) = static_cast<unsigned char>(byte);
      }
      anchored_ = true;
      anchor_ = number_;
      meetHead();
      return;
    }
    want(1);
    auto invoice = invoiceFromJson(textField(1));
    if (!invoice) lineFails(invoice.error().message());
    if (kind == "billed") {
      billed_.push_back(std::move(invoice).value());
    } else {
      report_.invoice = std::move(invoice).value();
    }
  }

  void countEvent(std::int64_t at, const std::string& note) {
    auto event = parseLifecycle(note);
    if (!event) lineFails("the event cannot be read");
    event->at = at;
    events_.push_back(std::move(*event));
  }

  void readRow() {
    const auto name = "row " + std::string(fields_.size() > 1 ? fields_[1].substr(0, 20) : "");
    const auto fail = [&](const std::string& why) { lineFails(name + ": " + why); };
    constexpr std::size_t kFields = 10;
    if (fields_.size() != kFields) fail("has not the fields of a row");
    if (batch_.empty()) fail("stands before its batch");
    std::uint64_t rowNumber = 0;
    if (!number(fields_[1], rowNumber) || rowNumber != number_ + 1)
      fail("is not the next after row " + std::to_string(number_));
    UsageRow& row = row_;
    row.tenantId = tenantId_;
    std::string meter;
    if (!unescape(fields_[2], row.appId) || !unescape(fields_[3], row.instanceId) || !unescape(fields_[4], meter) ||
        !meterFromName(meter, row.meter) || !number(fields_[5], row.quantity) || !number(fields_[6], row.from) ||
        !number(fields_[7], row.to) || !unescape(fields_[8], row.note))
      fail("is not written as it must be");
    wire::Writer writer;
    putRow(writer, row);
    const auto hash = rowHash(sha_, previous_, rowNumber, batch_, writer.bytes());
    if (fields_[9] != hexadecimal(hash)) fail("its hash differs from its content");
    if (auto finding = seals_.row(rowNumber, row, writer.bytes()); !finding.empty()) lineFails(finding);
    previous_ = hash;
    number_ = rowNumber;
    meetHead();
    ++report_.rows;
    if (row.meter == Meter::lifecycle) {
      if (ownBatch_) countEvent(row.from, row.note);
    } else if (isBillable(row.meter)) {
      hours_[{hourOf(row.from), row.appId, row.meter}] += row.quantity;
    }
  }

  void readSeal() {
    if (fields_.size() != 3) lineFails("the seal has not its fields");
    const auto digest = hexadecimal(all_.end());
    if (fields_[1] != digest) lineFails("the seal is of another file");
    if (!isSignedBy(publicKey_, digest, std::string(fields_[2]))) lineFails("the seal's signature does not hold");
    if (!report_.invoice) lineFails("there is no invoice");
    sealed_ = true;
  }

  std::vector<InvoiceLine> linesFor(const Period& period) {
    RatingInput input;
    input.period = period;
    for (const auto& [key, quantity] : hours_) {
      const auto& [hour, app, meter] = key;
      if (period.contains(hour)) input.usage.push_back({hour, app, meter, quantity});
    }
    std::stable_sort(events_.begin(), events_.end(),
                     [](const auto& left, const auto& right) { return left.at < right.at; });
    input.plans = spansOf(events_);
    const auto charges = rate(book_, input);
    if (!charges) throw Finding{charges.error().message()};
    return linesOf(*charges);
  }

  // What had been billed of a month, from the invoices in the file.
  BilledMonth billedOf(const Period& month) const {
    BilledMonth billed{month, {}};
    for (const auto& invoice : billed_) {
      const auto lines = billedLines(invoice, month);
      billed.lines.insert(billed.lines.end(), lines.begin(), lines.end());
    }
    return billed;
  }

  void rateAgain() {
    const Invoice& stated = *report_.invoice;
    if (stated.period != period_ || stated.tenantId != tenantId_ || stated.tenantName != tenantName_)
      throw Finding{"the invoice is of another tenant or month"};
    if (stated.lastRow != number_ || (number_ != 0 && stated.head != hexadecimal(previous_)))
      throw Finding{"the invoice rests on row " + std::to_string(stated.lastRow) + ", and the rows end with " +
                    std::to_string(number_)};
    InvoiceInput input;
    input.tenantId = tenantId_;
    input.tenantName = tenantName_;
    input.period = period_;
    input.lastRow = stated.lastRow;
    input.head = stated.head;
    input.lines = linesFor(period_);
    std::set<Period> corrected;
    for (const auto& line : stated.lines) {
      if (line.kind == ChargeKind::correction) corrected.insert(monthOf(line.from));
      if (line.kind == ChargeKind::credit) input.credits.push_back({line.sku, line.text, -line.cost});
    }
    // The file has all rows from the first of these months on: a segment that began later is here whole.
    const auto begin = corrected.empty() ? period_.from : std::min(period_.from, corrected.begin()->from);
    if (auto finding = seals_.end(begin); !finding.empty()) throw Finding{finding};
    for (const auto& month : corrected) {
      const auto lines = correctionsOf(billedOf(month), linesFor(month));
      input.corrections.insert(input.corrections.end(), lines.begin(), lines.end());
    }
    auto made = makeInvoice(book_, input);
    if (!made) throw Finding{made.error().message()};
    made->closedAt = stated.closedAt;
    compare(stated, *made);
  }

  static void compare(const Invoice& stated, const Invoice& made) {
    for (std::size_t i = 0; i < std::max(stated.lines.size(), made.lines.size()); ++i) {
      const std::string name = "invoice line " + std::to_string(i + 1);
      if (i >= made.lines.size()) throw Finding{name + " (" + describe(stated.lines[i]) + ") follows from no row"};
      if (i >= stated.lines.size()) throw Finding{name + " (" + describe(made.lines[i]) + ") is missing"};
      if (stated.lines[i] != made.lines[i])
        throw Finding{name + " (" + describe(stated.lines[i]) + ") states " + moneyText(stated.lines[i].cost) +
                      "; the rows make " + moneyText(made.lines[i].cost)};
    }
    if (stated != made)
      throw Finding{"the invoice states a total of " + moneyText(stated.total) + "; its lines make " +
                    moneyText(made.total)};
  }

  const std::function<bool(std::string&)>& next_;
  std::string publicKey_;
  const std::optional<PublishedHead>& head_;
  bool headMet_ = false;
  SealCheck seals_;
  StatementReport report_;
  Fields fields_;
  Sha256 all_;
  Sha256 one_;
  Sha256 sha_;
  std::size_t place_ = 0;
  bool anchored_ = false;
  bool sealed_ = false;
  std::string tenantId_;
  std::string tenantName_;
  Period period_;
  PriceBook book_;
  std::vector<LifecycleEvent> events_;
  std::vector<Invoice> billed_;
  std::string batch_;
  bool ownBatch_ = false;  // the control plane's: no other says which plan was held
  UsageRow row_;
  Hash previous_{};
  std::uint64_t number_ = 0;
  std::uint64_t anchor_ = 0;
  std::map<std::tuple<std::int64_t, std::string, Meter>, Quantity> hours_;
};

}  // namespace

StatementReport verifyStatement(const std::function<bool(std::string&)>& next, const std::string& publicKey,
                                const std::vector<std::string>& nodeKeys, const std::optional<PublishedHead>& head) {
  return Verifier(next, publicKey, nodeKeys, head).run();
}

}  // namespace cloister::metering
