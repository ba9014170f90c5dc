#include "metering/base/batch_json.h"

#include <Poco/JSON/Handler.h>
#include <Poco/JSON/Parser.h>
#include <Poco/JSONString.h>

#include <charconv>
#include <iterator>
#include <limits>
#include <optional>
#include <set>

#include "sandbox/base/utf8.h"

namespace cloister::metering {
namespace {

// Ends the parse; the error is in the handler.
struct Refused {};

// Takes the parser's events one by one, so that a doubled or unknown field is seen and nothing is built that is not
// wanted.
class BatchHandler final : public Poco::JSON::Handler {
 public:
  UsageBatch batch;
  std::optional<Error> error;

  void finish() {
    if (place_ != Place::end) refuse("the batch is missing", "");
  }

  void reset() override {}
  void startObject() override {
    if (place_ == Place::start) {
      place_ = Place::batch;
    } else if (place_ == Place::rows) {
      if (batch.rows.size() >= kMaxRows) refuse("too many rows", "rows");
      place_ = Place::row;
      rowSeen_.clear();
      batch.rows.emplace_back();
    } else {
      refuse("an object is not expected", path());
    }
  }
  void endObject() override {
    if (place_ == Place::row) {
      require(rowSeen_, {"tenant", "meter", "quantity", "from", "to"}, rowPath());
      if (batch.rows.back().from >= batch.rows.back().to) refuse("the window ends before it begins", rowPath() + ".to");
      place_ = Place::rows;
    } else {
      require(batchSeen_, {"source", "sequence", "bootId", "rows"}, "");
      place_ = Place::end;
    }
    key_.clear();
  }
  void startArray() override {
    if (place_ != Place::batch || key_ != "rows") refuse("an array is not expected", path());
    place_ = Place::rows;
  }
  void endArray() override {
    place_ = Place::batch;
    key_.clear();
  }
  void key(const std::string& name) override {
    static const std::set<std::string> batchFields{"source", "sequence", "bootId", "rows"};
    static const std::set<std::string> rowFields{"tenant",   "app",  "instance", "meter",
                                                 "quantity", "from", "to",       "note"};
    key_ = name;
    const bool row = place_ == Place::row;
    if (!(row ? rowFields : batchFields).contains(name)) refuse("the field is unknown", path());
    if (!(row ? rowSeen_ : batchSeen_).insert(name).second) refuse("the field is doubled", path());
  }
  void null() override { refuse("null is no value", path()); }
  void value(int number) override { value(static_cast<Poco::Int64>(number)); }
  void value(unsigned number) override { value(static_cast<Poco::Int64>(number)); }
  void value(Poco::Int64 number) override { text(std::to_string(number), Json::number); }
  // The parser wraps what is beyond 64 bits into this event unseen, so nothing of it can be believed.
  void value(Poco::UInt64) override { refuse("an integer of 2^63 or more must be a string", path()); }
  void value(const std::string& string) override { text(string, Json::string); }
  void value(double) override { refuse("the number is no exact integer", path()); }
  void value(bool) override { refuse("a boolean is no value", path()); }

 private:
  enum class Place { start, batch, rows, row, end };
  enum class Json { string, number };

  [[noreturn]] void refuse(const char* reason, std::string field) {
    error = Error{"usage", reason, std::move(field), 0};
    throw Refused{};
  }
  [[nodiscard]] std::string rowPath() const {
    return "rows[" + std::to_string(batch.rows.empty() ? 0 : batch.rows.size() - 1) + "]";
  }
  [[nodiscard]] std::string path() const {
    if (place_ == Place::row) return rowPath() + "." + key_;
    if (place_ == Place::rows) return "rows[" + std::to_string(batch.rows.size()) + "]";
    return key_;
  }
  void require(const std::set<std::string>& seen, std::initializer_list<const char*> names, const std::string& where) {
    for (const char* name : names) {
      if (!seen.contains(name)) refuse("the field is missing", where.empty() ? name : where + "." + name);
    }
  }

  template <typename T>
  T integer(const std::string& digits) {
    T number{};
    const char* const end = digits.data() + digits.size();
    const auto [stop, code] = std::from_chars(digits.data(), end, number);
    if (digits.empty() || code != std::errc{} || stop != end || number < 0)
      refuse("the number is out of range", path());
    return number;
  }
  enum class Empty { allowed, refused };
  std::string string(const std::string& text, Json type, Empty empty) {
    if (type != Json::string) refuse("a string is expected", path());
    if (text.empty() && empty == Empty::refused) refuse("the string is empty", path());
    if (text.size() > kMaxText) refuse("the string is too long", path());
    for (const char byte : text) {
      if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) refuse("the string has a control character", path());
    }
    return text;
  }

  void text(const std::string& content, Json type) {
    if (place_ == Place::row) return rowField(content, type);
    if (place_ != Place::batch) refuse("a value is not expected", path());
    if (key_ == "source") {
      batch.source = string(content, type, Empty::refused);
    } else if (key_ == "bootId") {
      batch.bootId = string(content, type, Empty::refused);
    } else if (key_ == "sequence") {
      batch.sequence = integer<std::uint64_t>(content);
      // The ledger keeps it as a signed column: half the range is for ever.
      if (batch.sequence == 0 || batch.sequence > INT64_MAX) refuse("the number is out of range", path());
    } else {
      refuse("an array is expected", path());
    }
  }
  void rowField(const std::string& content, Json type) {
    auto& row = batch.rows.back();
    if (key_ == "tenant") {
      row.tenantId = string(content, type, Empty::refused);
    } else if (key_ == "app") {
      row.appId = string(content, type, Empty::allowed);
    } else if (key_ == "instance") {
      row.instanceId = string(content, type, Empty::allowed);
    } else if (key_ == "note") {
      row.note = string(content, type, Empty::allowed);
    } else if (key_ == "meter") {
      if (!meterFromName(string(content, type, Empty::refused), row.meter)) refuse("the meter is unknown", path());
    } else if (key_ == "quantity") {
      row.quantity = integer<std::uint64_t>(content);
    } else if (key_ == "from") {
      row.from = integer<std::int64_t>(content);
    } else {
      row.to = integer<std::int64_t>(content);
    }
  }

  Place place_ = Place::start;
  std::string key_;
  std::set<std::string> batchSeen_;
  std::set<std::string> rowSeen_;
};

void put(std::string& out, const char* name, const std::string& text) {
  out.append("\"").append(name).append("\": ").append(Poco::toJSON(text));
}

}  // namespace

std::string toJson(const UsageBatch& batch) {
  std::string out = "{";
  put(out, "source", batch.source);
  put(out.append(", "), "sequence", std::to_string(batch.sequence));
  put(out.append(", "), "bootId", batch.bootId);
  out.append(", \"rows\": [");
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const auto& row = batch.rows[i];
    put(out.append(i == 0 ? "{" : ", {"), "tenant", row.tenantId);
    if (!row.appId.empty()) put(out.append(", "), "app", row.appId);
    if (!row.instanceId.empty()) put(out.append(", "), "instance", row.instanceId);
    put(out.append(", "), "meter", meterName(row.meter));
    put(out.append(", "), "quantity", std::to_string(row.quantity));
    put(out.append(", "), "from", std::to_string(row.from));
    put(out.append(", "), "to", std::to_string(row.to));
    if (!row.note.empty()) put(out.append(", "), "note", row.note);
    out.append("}");
  }
  out.append("]}");
  return utf8::jsonText(out);
}

Result<UsageBatch> usageBatchFromJson(const std::string& text) {
  Poco::SharedPtr<BatchHandler> handler(new BatchHandler);
  try {
    Poco::JSON::Parser parser(handler);
    parser.setDepth(8);
    parser.parse(text);
    handler->finish();
  } catch (const Refused&) {
    return *handler->error;
  } catch (const Poco::Exception& failure) {
    return Error{"usage", "no JSON: " + failure.displayText(), "", 0};
  }
  return std::move(handler->batch);
}

}  // namespace cloister::metering
