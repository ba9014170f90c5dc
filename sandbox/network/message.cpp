#include "sandbox/network/message.h"

#include <endian.h>
#include <linux/netlink.h>

#include <cstring>

namespace cloister::network {
namespace {

constexpr std::uint16_t kNested = NLA_F_NESTED;
constexpr std::uint16_t kTypeBits = 0x3fff;  // NLA_TYPE_MASK, which is a signed number

constexpr std::size_t padded(std::size_t size) {
  return (size + 3U) & ~std::size_t{3};
}

void appendPadded(std::string& bytes, std::string_view value) {
  bytes += value;
  bytes.resize(padded(bytes.size()), '\0');
}

template <typename T>
bool copyOut(std::string_view value, T& number) {
  if (value.size() < sizeof number) return false;
  std::memcpy(&number, value.data(), sizeof number);
  return true;
}

}  // namespace

void Encoder::put(std::uint16_t type, std::string_view value) {
  const nlattr attribute{static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), type};
  bytes_ += bytesOf(attribute);
  appendPadded(bytes_, value);
}

void Encoder::text(std::uint16_t type, std::string_view value) {
  put(type, std::string(value) + '\0');
}
void Encoder::be32(std::uint16_t type, std::uint32_t value) {
  u32(type, htobe32(value));
}
void Encoder::be64(std::uint16_t type, std::uint64_t value) {
  u64(type, htobe64(value));
}

std::size_t Encoder::nest(std::uint16_t type) {
  const std::size_t at = bytes_.size();
  put(type | kNested, {});
  return at;
}

void Encoder::close(std::size_t nest) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - nest);
  std::memcpy(bytes_.data() + nest, &length, sizeof length);
}

void Batch::begin(std::uint16_t type, std::uint16_t flags, const char* label) {
  end();
  labels_.push_back(label);
  start_ = bytes_.size();
  open_ = true;
  nlmsghdr message{};
  message.nlmsg_type = type;
  message.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  message.nlmsg_seq = static_cast<std::uint32_t>(labels_.size());
  if ((flags & NLM_F_ACK) != 0) lastAcknowledged_ = message.nlmsg_seq;
  put4(bytesOf(message));
}

void Batch::end() {
  if (!open_) return;
  const auto length = static_cast<std::uint32_t>(bytes_.size() - start_);
  std::memcpy(bytes_.data() + start_, &length, sizeof length);
  open_ = false;
}

void Batch::put4(std::string_view value) {
  appendPadded(bytes_, value);
}

const char* Batch::label(std::uint32_t sequence) const {
  return sequence >= 1 && sequence <= labels_.size() ? labels_[sequence - 1] : "netlink";
}

bool Attributes::next(std::uint16_t& type, std::string_view& value) {
  nlattr attribute{};
  if (!copyOut(bytes_, attribute)) return false;
  if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes_.size()) return false;
  type = attribute.nla_type & kTypeBits;
  value = bytes_.substr(sizeof attribute, attribute.nla_len - sizeof attribute);
  const std::size_t step = padded(attribute.nla_len);
  bytes_.remove_prefix(step < bytes_.size() ? step : bytes_.size());
  return true;
}

std::string_view Attributes::find(std::uint16_t type) const {
  Attributes rest(bytes_);
  std::uint16_t found = 0;
  std::string_view value;
  while (rest.next(found, value)) {
    if (found == type) return value;
  }
  return {};
}

bool readU32(std::string_view value, std::uint32_t& number) {
  return copyOut(value, number);
}

bool readBe32(std::string_view value, std::uint32_t& number) {
  if (!copyOut(value, number)) return false;
  number = be32toh(number);
  return true;
}

bool readBe64(std::string_view value, std::uint64_t& number) {
  if (!copyOut(value, number)) return false;
  number = be64toh(number);
  return true;
}

std::string readText(std::string_view value) {
  return std::string(value.substr(0, value.find('\0')));
}

}  // namespace cloister::network
