#include "api/cli/output.h"

#include <Poco/JSON/Array.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include "sandbox/base/utf8.h"

namespace cloister::cli {
namespace {

using Poco::Dynamic::Var;

constexpr const char* kAbsent = "-";

Var find(const Poco::JSON::Object& object, const std::string& member) {
  const std::size_t dot = member.find('.');
  if (dot == std::string::npos) return object.get(member);
  const auto inner = object.getObject(member.substr(0, dot));
  return inner.isNull() ? Var() : find(*inner, member.substr(dot + 1));
}

std::string joined(const Var& value) {
  std::string result;
  if (value.type() == typeid(Poco::JSON::Array::Ptr)) {
    for (const Var& item : *value.extract<Poco::JSON::Array::Ptr>()) {
      result += (result.empty() ? "" : ", ") + item.toString();
    }
  } else if (value.type() == typeid(Poco::JSON::Object::Ptr)) {
    for (const auto& [key, item] : *value.extract<Poco::JSON::Object::Ptr>()) {
      result += (result.empty() ? "" : " ") + key + "=" + item.toString();
    }
  } else {
    result = value.toString();
  }
  return result;
}

// Columns of a terminal, counting a UTF-8 sequence as one.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool numeric(Unit unit) {
  return unit != Unit::text && unit != Unit::time && unit != Unit::list;
}

struct Number {
  double value = 0;
  std::string_view suffix;
};

std::optional<Number> number(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  if (digits == 0 || digits > 20 || text.front() == '.') return std::nullopt;
  const std::string literal(text.substr(0, digits));
  if (std::count(literal.begin(), literal.end(), '.') > 1 || literal.back() == '.') return std::nullopt;
  Number result{std::stod(literal), text.substr(digits)};
  while (!result.suffix.empty() && result.suffix.front() == ' ') result.suffix.remove_prefix(1);
  return result;
}

std::optional<std::uint64_t> whole(double value) {
  constexpr double kTooLarge = 9.2e18;
  if (!(value >= 0) || value > kTooLarge) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(value));
}

std::optional<std::uint64_t> scaledBy(std::string_view text, double step, std::string_view tail) {
  const auto parsed = number(text);
  if (!parsed) return std::nullopt;
  std::string_view suffix = parsed->suffix;
  if (suffix.empty()) return whole(parsed->value);
  static constexpr std::string_view kPrefixes = "kMGTP";
  const char first = suffix.front() == 'K' ? 'k' : suffix.front();
  const std::size_t power = kPrefixes.find(first);
  if (power != std::string_view::npos) suffix.remove_prefix(1);
  if (!suffix.empty() && suffix != tail && suffix != tail.substr(1)) return std::nullopt;
  const double exponent = power == std::string_view::npos ? 0.0 : static_cast<double>(power) + 1.0;
  return whole(parsed->value * std::pow(step, exponent));
}

}  // namespace

std::string humanDuration(double seconds) {
  if (seconds < 60) return shortNumber(seconds) + "s";
  const auto total = static_cast<std::int64_t>(seconds);
  if (total < 3600) return fmt::format("{}m {}s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{}h {}m", total / 3600, total / 60 % 60);
  return fmt::format("{}d {}h", total / 86400, total / 3600 % 24);
}

std::string humanTime(const std::string& rfc3339) {
  constexpr std::size_t kToSeconds = std::string_view("2026-01-31T12:00:00").size();
  if (rfc3339.size() < kToSeconds || rfc3339[10] != 'T') return rfc3339;
  return rfc3339.substr(0, 10) + " " + rfc3339.substr(11, kToSeconds - 11);
}

std::string humanQuantity(double quantity, const std::string& unit) {
  constexpr double kMillisAnHour = 3'600'000.0;
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  if (unit == "ns") return humanDuration(quantity / 1e9);
  if (unit == "us") return humanDuration(quantity / 1e6);
  if (unit == "ms") return humanDuration(quantity / 1e3);
  if (unit == "bytes" || unit == "B" || unit == "byte") return humanBytes(quantity);
  if (unit.find("yte") != std::string::npos && unit.find('m') != std::string::npos) {
    return fmt::format("{:.4f} GiB-hours", quantity / kGiB / kMillisAnHour);
  }
  return shortNumber(quantity);
}

std::optional<std::uint64_t> parseBytes(std::string_view text) {
  return scaledBy(text, 1024, "iB");
}

std::optional<std::uint64_t> parseRate(std::string_view text) {
  return scaledBy(text, 1000, " bit/s");
}

std::optional<std::uint64_t> parseCpu(std::string_view text) {
  const auto parsed = number(text);
  if (!parsed) return std::nullopt;
  if (parsed->suffix.empty()) return whole(parsed->value * 1000);
  if (parsed->suffix == "m") return whole(parsed->value);
  return std::nullopt;
}

std::optional<std::uint64_t> parseDuration(std::string_view text) {
  const auto parsed = number(text);
  if (!parsed) return std::nullopt;
  if (parsed->suffix.empty() || parsed->suffix == "s") return whole(parsed->value);
  if (parsed->suffix == "m") return whole(parsed->value * 60);
  if (parsed->suffix == "h") return whole(parsed->value * 3600);
  if (parsed->suffix == "d") return whole(parsed->value * 86400);
  return std::nullopt;
}

std::string printable(std::string_view text, Colour colour) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == 0x1B && colour == Colour::keep && text.substr(i).starts_with("\x1b[")) {
      const std::size_t end = text.find_first_not_of("0123456789;", i + 2);
      if (end != std::string_view::npos && text[end] == 'm') {
        result.append(text.substr(i, end - i + 1));
        i = end + 1;
        continue;
      }
    }
    const std::size_t length = utf8::letterAt(text, i);
    // U+0080..U+009F are controls too (CSI is U+009B); in UTF-8 they are 0xC2 and 0x80..0x9F.
    const bool c1 = length == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0U;
    const bool control = c1 || (c < 0x20 && c != '\t') || c == 0x7F;
    result += control ? "?" : length == 0 ? kReplacement : text.substr(i, length);
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

std::string_view lastDrawn(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  return line.substr(line.rfind('\r') + 1);
}

std::string text(const Poco::JSON::Object& object, const std::string& member) {
  const Var value = find(object, member);
  return value.isEmpty() ? std::string() : value.toString();
}

std::string cell(const Poco::JSON::Object& object, const std::string& member, Unit unit) {
  const Var value = find(object, member);
  if (value.isEmpty()) return kAbsent;
  if (unit == Unit::time) return value.toString().empty() ? kAbsent : printable(humanTime(value.toString()));
  if (numeric(unit)) {
    if (!value.isNumeric()) return printable(joined(value));
    const auto amount = value.convert<double>();
    switch (unit) {
      case Unit::bytes:
        return humanBytes(amount);
      case Unit::cpuMillis:
        return humanCpu(amount);
      case Unit::bitsPerSecond:
        return humanRate(amount);
      case Unit::seconds:
        return humanDuration(amount);
      default:
        return value.toString();
    }
  }
  const std::string shown = printable(joined(value));
  return shown.empty() ? kAbsent : shown;
}

void Table::add(const Poco::JSON::Object& object) {
  std::vector<std::string> cells;
  cells.reserve(columns_.size());
  for (const Column& column : columns_) cells.push_back(cell(object, column.member, column.unit));
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = width(columns_[i].title);
    for (const auto& row : rows_) widest = std::max(widest, width(row.at(i)));
    widths.push_back(widest);
  }
  const auto line = [&](const auto& cellAt) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& value = cellAt(i);
      const std::string padding(widths[i] - width(value), ' ');
      if (i > 0) text += "  ";
      text += numeric(columns_[i].unit) ? padding + value : value + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  };
  line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) line([&](std::size_t i) -> const std::string& { return row.at(i); });
}

void printFields(std::ostream& out, const std::vector<Column>& columns, const Poco::JSON::Object& object) {
  std::size_t widest = 0;
  for (const Column& column : columns) widest = std::max(widest, width(column.title));
  for (const Column& column : columns) {
    out << column.title << ": " << std::string(widest - width(column.title), ' ')
        << cell(object, column.member, column.unit) << '\n';
  }
}

}  // namespace cloister::cli
