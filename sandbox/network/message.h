// Netlink messages as bytes: attributes, messages back to back in one batch, and the reading of attributes.
//
// Threads: values. Failures: encoding cannot fail; Attributes yields nothing for what is not there or does not fit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cloister::network {

// The bytes of a kernel structure, for headers and binary attributes.
template <typename T>
[[nodiscard]] std::string_view bytesOf(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A run of attributes, each padded to four bytes.
class Encoder {
 public:
  void put(std::uint16_t type, std::string_view value);
  void text(std::uint16_t type, std::string_view value);  // with its NUL
  void u8(std::uint16_t type, std::uint8_t value) { put(type, bytesOf(value)); }
  void u32(std::uint16_t type, std::uint32_t value) { put(type, bytesOf(value)); }
  void u64(std::uint16_t type, std::uint64_t value) { put(type, bytesOf(value)); }
  void be32(std::uint16_t type, std::uint32_t value);
  void be64(std::uint16_t type, std::uint64_t value);
  // Attributes that go between nest() and close() are inside. Close in reverse order.
  [[nodiscard]] std::size_t nest(std::uint16_t type);
  void close(std::size_t nest);
  void raw(std::string_view encoded) { bytes_ += encoded; }  // already padded

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 protected:
  std::string bytes_;
};

// Messages that go to the kernel in one datagram. Sequence numbers count from 1.
class Batch : public Encoder {
 public:
  // Ends the message before it. NLM_F_REQUEST is added; `label` names the operation in errors and must be a literal.
  void begin(std::uint16_t type, std::uint16_t flags, const char* label);
  template <typename T>
  void header(const T& value) {
    put4(bytesOf(value));
  }
  void end();

  // Sequence of the last message that asks for an acknowledgement; 0 when none does.
  [[nodiscard]] std::uint32_t lastAcknowledged() const { return lastAcknowledged_; }
  [[nodiscard]] const char* label(std::uint32_t sequence) const;

 private:
  void put4(std::string_view value);
  std::size_t start_ = 0;
  bool open_ = false;
  std::uint32_t lastAcknowledged_ = 0;
  std::vector<const char*> labels_;
};

// Attributes in a received payload, without copying. An attribute that overruns ends the run.
class Attributes {
 public:
  explicit Attributes(std::string_view bytes) : bytes_(bytes) {}
  // Moves to the next; false at the end.
  [[nodiscard]] bool next(std::uint16_t& type, std::string_view& value);
  // The first of `type`, or an empty view.
  [[nodiscard]] std::string_view find(std::uint16_t type) const;

 private:
  std::string_view bytes_;
};

// False when `value` is too short. Big-endian ones are turned to host order.
[[nodiscard]] bool readU32(std::string_view value, std::uint32_t& number);
[[nodiscard]] bool readBe32(std::string_view value, std::uint32_t& number);
[[nodiscard]] bool readBe64(std::string_view value, std::uint64_t& number);
// Without the NUL and what follows it.
[[nodiscard]] std::string readText(std::string_view value);

}  // namespace cloister::network
