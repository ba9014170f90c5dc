#include "sandbox/base/utf8.h"

#include <algorithm>
#include <utility>

namespace cloister::utf8 {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kMark = "\xEF\xBB\xBF";
constexpr std::string_view kDots = "...";
constexpr std::size_t kLongestLetter = 4;

// What may follow a lead byte (Unicode, table 3-7): the letter's length, and the range of its second byte.
struct Form {
  std::size_t length = 0;
  unsigned least = 0x80U;
  unsigned most = 0xBFU;
};

Form formOf(unsigned lead) {
  if (lead < 0x80U) return {1};
  if (lead < 0xC2U || lead > 0xF4U) return {0};
  if (lead < 0xE0U) return {2};
  if (lead < 0xF0U) return {3, lead == 0xE0U ? 0xA0U : 0x80U, lead == 0xEDU ? 0x9FU : 0xBFU};
  return {4, lead == 0xF0U ? 0x90U : 0x80U, lead == 0xF4U ? 0x8FU : 0xBFU};
}

// How many of the bytes at `at` fit the letter that begins there: its length when it is whole.
std::size_t fitting(std::string_view text, std::size_t at, const Form& form) {
  std::size_t count = 1;
  for (; count < form.length && at + count < text.size(); ++count) {
    const unsigned byte = static_cast<unsigned char>(text[at + count]);
    const unsigned least = count == 1 ? form.least : 0x80U;
    const unsigned most = count == 1 ? form.most : 0xBFU;
    if (byte < least || byte > most) break;
  }
  return count;
}

// Where the unfinished letter begins with which `text` ends; text.size() when it ends with none.
std::size_t unfinishedAt(std::string_view text) {
  const std::size_t first = text.size() - std::min(text.size(), kLongestLetter - 1);
  for (std::size_t at = text.size(); at > first;) {
    --at;
    const auto form = formOf(static_cast<unsigned char>(text[at]));
    if (form.length < 2) continue;
    if (fitting(text, at, form) == text.size() - at && form.length > text.size() - at) return at;
    break;
  }
  return text.size();
}

template <typename Letter>
std::string mendedWith(std::string_view text, Letter keep) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto length = letterAt(text, at);
    if (length == 0 || !keep(text[at])) {
      out += kReplacement;
    } else {
      out += text.substr(at, length);
    }
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

}  // namespace

std::size_t letterAt(std::string_view text, std::size_t at) {
  if (at >= text.size()) return 0;
  const auto form = formOf(static_cast<unsigned char>(text[at]));
  return form.length != 0 && fitting(text, at, form) == form.length ? form.length : 0;
}

std::size_t goodBytes(std::string_view text) {
  std::size_t at = 0;
  for (std::size_t length = 1; length != 0; at += length) length = letterAt(text, at);
  return at;
}

std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  const auto head = text.substr(0, most);
  const auto at = unfinishedAt(head);
  // Bytes that only look like a letter's beginning are no reason to leave them out.
  return at < head.size() && letterAt(text, at) != 0 ? head.substr(0, at) : head;
}

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  return std::string(cut(text, most - std::min(most, kDots.size()))).append(kDots);
}

std::string mended(std::string_view text) {
  return mendedWith(text, [](char) { return true; });
}

std::string printable(std::string_view text) {
  return mendedWith(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20U && c != '\x7f'; });
}

std::string jsonText(std::string_view document) {
  constexpr std::string_view kNul = "\\u0000";
  std::string text = valid(document) ? std::string(document) : mended(document);
  for (std::size_t at = text.find('\\'); at != std::string::npos; at = text.find('\\', at)) {
    if (text.compare(at, kNul.size(), kNul) == 0) {
      text.replace(at, kNul.size(), kReplacement);
      at += kReplacement.size();
    } else {
      at += 2;  // a backslash and what it escapes, which may be another one
    }
  }
  return text;
}

std::string_view withoutMark(std::string_view text) {
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

std::string Mender::feed(std::string_view piece) {
  std::string text = std::exchange(begun_, {});
  text += piece;
  const auto whole = unfinishedAt(text);
  begun_ = text.substr(whole);
  text.resize(whole);
  return mended(text);
}

std::string Mender::end() {
  return mended(std::exchange(begun_, {}));
}

}  // namespace cloister::utf8
