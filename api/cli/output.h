// Tables, human units and text that is safe to show.
//
// What the API sends may carry bytes that tenants chose; nothing of it reaches a terminal as a control character.
// Threads: values. Failures: parse functions return empty optionals; formatting does not fail.
#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/quantity.h"

namespace cloister::cli {

enum class Unit { text, integer, bytes, cpuMillis, bitsPerSecond, seconds, time, list };

// One column: its title, the member to show ("limits.memoryBytes" goes down), and how.
struct Column {
  std::string title;
  std::string member;
  Unit unit = Unit::text;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(const Poco::JSON::Object& object);
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print(std::ostream& out) const;  // numbers to the right, no trailing spaces
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "name: value" lines, the names aligned.
void printFields(std::ostream& out, const std::vector<Column>& columns, const Poco::JSON::Object& object);

// The member as the unit writes it; "-" when it is absent, null or empty.
[[nodiscard]] std::string cell(const Poco::JSON::Object& object, const std::string& member, Unit unit);
[[nodiscard]] std::string text(const Poco::JSON::Object& object, const std::string& member);

[[nodiscard]] std::string humanDuration(double seconds);          // "2h 5m"
[[nodiscard]] std::string humanTime(const std::string& rfc3339);  // "2026-01-31 12:00:00"
// A usage quantity in the unit that people speak of: 90'000'000'000 "ns" -> "1m 30s".
[[nodiscard]] std::string humanQuantity(double quantity, const std::string& unit);

[[nodiscard]] std::optional<std::uint64_t> parseBytes(std::string_view text);  // "256M", "1.5GiB", "4096"
[[nodiscard]] std::optional<std::uint64_t> parseCpu(std::string_view text);    // "500m", "0.5", "2"
[[nodiscard]] std::optional<std::uint64_t> parseRate(std::string_view text);   // "100M": bits a second, powers of ten
[[nodiscard]] std::optional<std::uint64_t> parseDuration(std::string_view text);  // "90", "10m", "2h": seconds

// For a terminal: control characters as "?", bytes that are no UTF-8 as U+FFFD; colours ("\033[1;31m") stay when
// `colour` is keep.
enum class Colour { strip, keep };
[[nodiscard]] std::string printable(std::string_view text, Colour colour = Colour::strip);

// What a terminal would show of a line of output: a tool that draws its progress goes back to the start with a CR.
[[nodiscard]] std::string_view lastDrawn(std::string_view line);

}  // namespace cloister::cli
