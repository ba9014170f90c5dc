#include "api/body_framing.h"

#include <algorithm>

namespace cloister::api {
namespace {

constexpr unsigned kMaxDigits = 8;
constexpr std::size_t kMaxPassedOver = 8192;

int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool isText(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7F);
}

}  // namespace

BodyFraming::BodyFraming(const HttpHead& head) : left_(head.length) {
  if (head.body == BodyKind::sized) step_ = Step::sized;
  if (head.body == BodyKind::chunked) {
    step_ = Step::size;
    left_ = 0;
  }
}

bool BodyFraming::bad(const char* what) {
  fault_ = what;
  return false;
}

std::size_t BodyFraming::take(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && step_ != Step::end && fault_.empty()) {
    if (step_ == Step::sized || step_ == Step::data) {
      at += takeContent(bytes.size() - at);
    } else if (takeFrame(bytes[at])) {
      ++at;
    }
  }
  return at;
}

std::size_t BodyFraming::takeContent(std::size_t offered) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, offered));
  left_ -= taken;
  content_ += taken;
  if (left_ == 0) step_ = step_ == Step::sized ? Step::end : Step::dataEnd;
  return taken;
}

bool BodyFraming::takeFrame(char c) {
  switch (step_) {
    case Step::size:
      return takeSize(c);
    case Step::extension:
      if (c == '\r') {
        step_ = Step::sizeEnd;
        return true;
      }
      if (!isText(c) || ++passedOver_ > kMaxPassedOver) return bad("a chunk's extension is malformed or too long");
      return true;
    case Step::sizeEnd:
      if (c != '\n') return bad("the line of a chunk's size ends without CR LF");
      step_ = left_ > 0 ? Step::data : Step::trailer;
      digits_ = 0;
      lineEmpty_ = true;
      return true;
    case Step::dataEnd:
      if (c != '\r') return bad("a chunk is longer than its size");
      step_ = Step::dataEndLine;
      return true;
    case Step::dataEndLine:
      if (c != '\n') return bad("a chunk ends without CR LF");
      step_ = Step::size;
      return true;
    default:
      return takeTrailer(c);
  }
}

bool BodyFraming::takeSize(char c) {
  if (const int digit = hexadecimal(c); digit >= 0) {
    if (++digits_ > kMaxDigits) return bad("a chunk's size has more than 8 digits");
    left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
    return true;
  }
  if (digits_ == 0) return bad("a chunk's size is no hexadecimal number");
  if (c == '\r') {
    step_ = Step::sizeEnd;
  } else if (c == ';') {
    step_ = Step::extension;
  } else {
    return bad("a chunk's size is no hexadecimal number");
  }
  return true;
}

bool BodyFraming::takeTrailer(char c) {
  if (step_ == Step::trailerEnd) {
    if (c != '\n') return bad("a trailer ends without CR LF");
    step_ = lineEmpty_ ? Step::end : Step::trailer;
    lineEmpty_ = true;
    return true;
  }
  if (c == '\r') {
    step_ = Step::trailerEnd;
    return true;
  }
  if (!isText(c) || ++passedOver_ > kMaxPassedOver) return bad("the trailers are malformed or too long");
  lineEmpty_ = false;
  return true;
}

}  // namespace cloister::api
