// PostgreSQL's binary forms of what sql.h carries: 16, 32 and 64-bit integers, bytes, and arrays of both.
//
// Threads: pure functions and values. Failures: a form that does not fit is std::nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cloister::metering::sql {

// Type numbers of pg_type.
enum class PostgresType : unsigned {
  boolean = 16,
  bytea = 17,
  bigint = 20,
  smallint = 21,
  integer = 23,
  text = 25,
  bigintArray = 1016,
  byteaArray = 1001,
  textArray = 1009,
  numeric = 1700,
};

void putBigEndian(std::string& out, std::uint64_t value, std::size_t bytes);
// Of 1, 2, 4 or 8 bytes; the sign is kept.
[[nodiscard]] std::int64_t getBigEndian(std::string_view bytes);
// As a parameter of that type wants it; nullopt: another type, or out of its range.
[[nodiscard]] std::optional<std::string> encodeInteger(std::int64_t value, PostgresType type);
// Is it sent as it stands?
[[nodiscard]] bool takesBytes(PostgresType type);

// One dimension, no NULL. Elements are appended; bytes() sets the count.
class PostgresArray {
 public:
  explicit PostgresArray(PostgresType element);
  void add(std::int64_t value);
  void add(std::string_view bytes);
  void clear();
  [[nodiscard]] const std::string& bytes();

 private:
  std::string bytes_;
  std::uint32_t count_ = 0;
};

}  // namespace cloister::metering::sql
