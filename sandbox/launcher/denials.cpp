#include "sandbox/launcher/denials.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "policy/model/apparmor.h"
#include "sandbox/base/files.h"
#include "sandbox/base/utf8.h"

namespace cloister::launcher {
namespace {

constexpr std::size_t kMostRecord = 8192;  // the kernel's own bound of one record
constexpr int kMostReads = 4096;           // of one call, however fast the log grows
constexpr std::string_view kAudit = "audit: type=1400 audit(";

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && stop == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<std::string> fromHexadecimal(std::string_view digits) {
  if (digits.empty() || digits.size() % 2 != 0) return {};
  std::string bytes;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    unsigned value = 0;
    const char* const end = digits.data() + at + 2;
    const auto [stop, error] = std::from_chars(digits.data() + at, end, value, 16);
    if (error != std::errc{} || stop != end) return {};
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// The kernel writes a text of a program's either in quotes, without any inside, or in hexadecimal.
struct Field {
  std::string_view key;
  std::string_view raw;
  bool quoted = false;

  [[nodiscard]] std::optional<std::string> text() const {
    return quoted ? std::optional(std::string(raw)) : fromHexadecimal(raw);
  }
};

std::optional<Field> takeField(std::string_view& rest) {
  const auto equals = rest.find('=');
  if (equals == 0 || equals == std::string_view::npos) return {};
  Field field{rest.substr(0, equals), {}, false};
  if (field.key.find_first_of(" \"") != std::string_view::npos) return {};
  rest.remove_prefix(equals + 1);
  field.quoted = rest.starts_with('"');
  if (field.quoted) rest.remove_prefix(1);
  const auto end = std::min(rest.size(), rest.find(field.quoted ? '"' : ' '));
  if (field.quoted && end == rest.size()) return {};
  field.raw = rest.substr(0, end);
  rest.remove_prefix(end + (field.quoted ? 1 : 0));
  if (!rest.empty() && !rest.starts_with(' ')) return {};
  rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
  return field;
}

}  // namespace

std::optional<Denial> parseDenial(std::string_view record) {
  const auto comma = record.find(',');
  const auto second = comma == std::string_view::npos ? comma : record.find(',', comma + 1);
  const auto semicolon = record.find(';');
  if (second == std::string_view::npos || semicolon == std::string_view::npos || semicolon < second) return {};
  const auto sequence = number(record.substr(comma + 1, second - comma - 1));
  auto rest = record.substr(semicolon + 1);
  rest = rest.substr(0, rest.find('\n'));
  const auto stamp = rest.find("): ");
  if (!sequence || !rest.starts_with(kAudit) || stamp == std::string_view::npos) return {};
  rest.remove_prefix(stamp + 3);
  Denial denial;
  denial.sequence = *sequence;
  bool denied = false;
  while (!rest.empty()) {
    const auto field = takeField(rest);
    if (!field) return {};
    if (field->key == "apparmor") denied = field->quoted && field->raw == "DENIED";
    if (field->key == "profile" && field->quoted) denial.tenant = policy::tenantOfProfile(field->raw);
    if (field->key == "operation" && field->quoted)
      denial.operation = std::string(utf8::cut(field->raw, kMostDenialText));
    // What was asked for: a path, a capability's name, or the peer of a signal.
    if (field->key == "name" || field->key == "capname" || field->key == "peer") {
      denial.target = utf8::cut(field->text().value_or(""), kMostDenialText);
    }
    if (field->key == "comm") denial.program = utf8::cut(field->text().value_or(""), kMostDenialText);
  }
  if (!denied || denial.tenant == 0 || denial.operation.empty()) return {};
  return denial;
}

Result<Denials> Denials::open() {
  auto log = files::openAt(AT_FDCWD, "/dev/kmsg", O_RDONLY | O_NONBLOCK);
  if (!log) return log.error();
  return Denials(std::move(*log));
}

void Denials::readLog() {
  std::array<char, kMostRecord> record{};
  for (int reads = 0; reads < kMostReads; ++reads) {
    const ssize_t got = ::read(log_.get(), record.data(), record.size());
    if (got < 0 && (errno == EINTR || errno == EPIPE))
      continue;  // EPIPE: overwritten before it was read; the next is there
    if (got <= 0) return;
    auto denial = parseDenial({record.data(), static_cast<std::size_t>(got)});
    if (!denial) continue;
    kept_.push_back(std::move(*denial));
    if (kept_.size() > kKept) kept_.pop_front();
  }
}

DenialsReply Denials::after(std::uint64_t since) {
  readLog();
  DenialsReply reply;
  for (const auto& denial : kept_) {
    if (denial.sequence > since && reply.denials.size() < kMostDenials) reply.denials.push_back(denial);
  }
  return reply;
}

}  // namespace cloister::launcher
