#include "metering/base/postgres_wire.h"

#include <cstring>
#include <utility>

namespace cloister::metering::sql {
namespace {

constexpr std::size_t kArrayHeader = 20;  // dimensions, has NULL, element type, count, first index
constexpr std::size_t kArrayCount = 12;

template <typename T>
std::optional<std::string> narrow(std::int64_t value) {
  if (!std::in_range<T>(value)) return std::nullopt;
  std::string out;
  putBigEndian(out, static_cast<std::uint64_t>(value), sizeof(T));
  return out;
}

}  // namespace

void putBigEndian(std::string& out, std::uint64_t value, std::size_t bytes) {
  char buffer[8];
  const std::uint64_t swapped = __builtin_bswap64(value);
  std::memcpy(buffer, &swapped, sizeof buffer);
  out.append(buffer + sizeof buffer - bytes, bytes);
}

std::int64_t getBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  if (bytes.size() == sizeof value) {
    std::memcpy(&value, bytes.data(), sizeof value);
    return static_cast<std::int64_t>(__builtin_bswap64(value));
  }
  if (bytes.empty() || bytes.size() > sizeof value) return 0;
  if ((static_cast<unsigned char>(bytes.front()) & 0x80U) != 0) value = ~std::uint64_t{0};
  for (const char byte : bytes) value = (value << 8U) | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(value);
}

std::optional<std::string> encodeInteger(std::int64_t value, PostgresType type) {
  switch (type) {
    case PostgresType::bigint:
      return narrow<std::int64_t>(value);
    case PostgresType::integer:
      return narrow<std::int32_t>(value);
    case PostgresType::smallint:
      return narrow<std::int16_t>(value);
    case PostgresType::boolean:
      if (value != 0 && value != 1) return std::nullopt;
      return std::string(1, static_cast<char>(value));
    default:
      return std::nullopt;
  }
}

bool takesBytes(PostgresType type) {
  return type == PostgresType::bytea || type == PostgresType::text;
}

PostgresArray::PostgresArray(PostgresType element) {
  putBigEndian(bytes_, 1, 4);
  putBigEndian(bytes_, 0, 4);
  putBigEndian(bytes_, static_cast<std::uint64_t>(element), 4);
  putBigEndian(bytes_, 0, 4);
  putBigEndian(bytes_, 1, 4);
}

void PostgresArray::add(std::int64_t value) {
  putBigEndian(bytes_, 8, 4);
  putBigEndian(bytes_, static_cast<std::uint64_t>(value), 8);
  ++count_;
}

void PostgresArray::add(std::string_view bytes) {
  putBigEndian(bytes_, bytes.size(), 4);
  bytes_.append(bytes);
  ++count_;
}

void PostgresArray::clear() {
  bytes_.resize(kArrayHeader);
  count_ = 0;
}

const std::string& PostgresArray::bytes() {
  std::string count;
  putBigEndian(count, count_, 4);
  bytes_.replace(kArrayCount, 4, count);
  return bytes_;
}

}  // namespace cloister::metering::sql
