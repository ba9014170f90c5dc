// The launcher's message format: little-endian integers, byte strings with a 32-bit length, lists with a 16-bit count.
//
// A Writer appends; a Reader consumes and never reads past its message: the first short or oversized field makes it
// fail, every later read returns an empty value, and finish() is false unless all bytes were used exactly. There is no
// recursion and no allocation larger than the message itself.
// Threads: a Reader or Writer belongs to one thread. Failures: Reader::failed().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace cloister::wire {

inline constexpr std::size_t kMaxMessage = 128UL * 1024;  // one SOCK_SEQPACKET datagram

class Writer {
 public:
  template <typename T>
  requires std::is_unsigned_v<T> || std::is_enum_v<T>
  void put(T value) {
    auto bits = static_cast<std::uint64_t>(value);
    std::array<char, sizeof(T)> raw{};
    for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8U) raw[i] = static_cast<char>(bits & 0xffU);
    bytes_.append(raw.data(), raw.size());
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const std::vector<std::string>& list) {
    put(static_cast<std::uint16_t>(list.size()));
    for (const auto& item : list) put(std::string_view(item));
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  requires std::is_unsigned_v<T>
  [[nodiscard]] T get() {
    if (rest_.size() < sizeof(T)) return fail<T>();
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8U * i);
    }
    rest_.remove_prefix(sizeof(T));
    return static_cast<T>(bits);
  }
  // An enum of values 0..last; anything else fails the message.
  template <typename E>
  [[nodiscard]] E getEnum(E last) {
    const auto raw = get<std::underlying_type_t<E>>();
    if (raw > static_cast<std::underlying_type_t<E>>(last)) return static_cast<E>(fail<std::underlying_type_t<E>>());
    return static_cast<E>(raw);
  }
  [[nodiscard]] std::string getString(std::size_t limit = kMaxMessage) {
    const auto size = get<std::uint32_t>();
    if (failed_ || size > limit || size > rest_.size()) return fail<std::string>();
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  [[nodiscard]] std::vector<std::string> getStrings(std::size_t limit) {
    const auto count = get<std::uint16_t>();
    if (failed_ || count > limit) return fail<std::vector<std::string>>();
    std::vector<std::string> list;
    for (std::size_t i = 0; i < count && !failed_; ++i) list.push_back(getString());
    return failed_ ? std::vector<std::string>{} : list;
  }
  // Makes the message fail: for a field whose value its own decoder refuses.
  template <typename T>
  [[nodiscard]] T reject() {
    return fail<T>();
  }
  [[nodiscard]] bool failed() const { return failed_; }
  // True when every byte was read and every field was good.
  [[nodiscard]] bool finish() const { return !failed_ && rest_.empty(); }

 private:
  template <typename T>
  T fail() {
    failed_ = true;
    rest_ = {};
    return T{};
  }
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace cloister::wire
