#include "api/json_syntax.h"

#include <set>

#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

// No integer that this API takes is longer; the parser behind cannot hold longer ones.
constexpr std::size_t kMaxDigits = 18;

bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool hexDigit(char c) {
  return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  std::optional<SyntaxFault> run() {
    space();
    if (value(0)) {
      space();
      if (at_ < text_.size()) refuse("text after the end of the value");
    }
    if (reason_.empty()) return std::nullopt;
    SyntaxFault fault{1, 1, reason_};
    for (std::size_t i = 0; i < at_ && i < text_.size(); ++i) {
      ++fault.column;
      if (text_[i] == '\n') {
        ++fault.line;
        fault.column = 1;
      }
    }
    return fault;
  }

 private:
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool refuse(const char* reason) {
    if (reason_.empty()) reason_ = at_ >= text_.size() ? "unexpected end" : reason;
    return false;
  }
  void space() {
    while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++at_;
  }
  bool take(char wanted) {
    if (at_ >= text_.size() || peek() != wanted) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return refuse("expected a value");
    at_ += wanted.size();
    return true;
  }

  bool value(std::size_t depth) {
    if (depth >= kMaxJsonDepth) return refuse("nested too deeply");
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string(nullptr);
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool object(std::size_t depth) {
    ++at_;
    space();
    if (take('}')) return true;
    std::set<std::string> names;
    for (;;) {
      space();
      if (peek() != '"') return refuse("expected a member name");
      const auto start = at_;
      std::string name;
      if (!string(&name)) return false;
      if (!names.insert(name).second) {
        at_ = start;
        return refuse("the same member name twice");
      }
      space();
      if (!take(':')) return refuse("expected ':'");
      space();
      if (!value(depth + 1)) return false;
      space();
      if (take('}')) return true;
      if (!take(',')) return refuse("expected ',' or '}'");
    }
  }

  bool array(std::size_t depth) {
    ++at_;
    space();
    if (take(']')) return true;
    for (;;) {
      space();
      if (!value(depth + 1)) return false;
      space();
      if (take(']')) return true;
      if (!take(',')) return refuse("expected ',' or ']'");
    }
  }

  // Keeps the text as written in *raw: names that differ only in their escapes pass here and the parser takes the last.
  bool string(std::string* raw) {
    const auto start = ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        if (raw != nullptr) *raw = std::string(text_.substr(start, at_ - start));
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return refuse("control character in a string");
      if (c == '\\') {
        if (!escape()) return false;
        continue;
      }
      const auto length = utf8::letterAt(text_, at_);
      if (length == 0) return refuse("not UTF-8");
      at_ += length;
    }
    return refuse("unexpected end");
  }

  bool escape() {
    ++at_;
    switch (peek()) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        ++at_;
        return true;
      case 'u':
        break;
      default:
        return refuse("unknown escape");
    }
    if (at_ + 5 > text_.size()) {
      at_ = text_.size();
      return refuse("unexpected end");
    }
    for (std::size_t i = 1; i <= 4; ++i) {
      if (!hexDigit(text_[at_ + i])) return refuse("bad \\u escape");
    }
    if (text_.substr(at_ + 1, 4) == "0000") return refuse("NUL in a string");
    at_ += 5;
    return true;
  }

  bool number() {
    const auto start = at_;
    (void)take('-');
    if (!digit(peek())) {
      at_ = start;
      return refuse("expected a value");
    }
    if (!take('0')) digits();
    if (at_ - start > kMaxDigits) {
      at_ = start;
      return refuse("a number beyond 64 bits");
    }
    if (take('.') && !digits()) return refuse("expected a digit");
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!digits()) return refuse("expected a digit");
    }
    return true;
  }
  bool digits() {
    const auto start = at_;
    while (digit(peek())) ++at_;
    return at_ > start;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string reason_;
};

}  // namespace

std::optional<SyntaxFault> checkJsonSyntax(std::string_view text) {
  return Checker(text).run();
}

}  // namespace cloister::api
