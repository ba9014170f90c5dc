#include "api/http_head.h"

#include <algorithm>
#include <charconv>

#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

bool isTokenCharacter(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kOthers.find(c) != std::string_view::npos;
}

bool isToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), isTokenCharacter);
}

// What may stand in a field's value; bytes beyond ASCII may by the standard.
bool isValueCharacter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7F);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Whether the comma-separated list has the word, parameters of an item aside.
bool lists(std::string_view value, std::string_view word) {
  for (std::size_t at = 0; at <= value.size();) {
    const auto end = std::min(value.find(',', at), value.size());
    auto item = value.substr(at, end - at);
    item = trimmed(item.substr(0, item.find(';')));
    if (equal(item, word)) return true;
    at = end + 1;
  }
  return false;
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name.substr(0, 64)) + "\"";
}

}  // namespace

HeadState HeadReader::refuse(int status, std::string code, std::string detail) {
  refusal_ = {status, std::move(code), std::move(detail)};
  return HeadState::refused;
}

bool HeadReader::bad(std::string detail) {
  refusal_ = {400, "malformed_request", std::move(detail)};
  return false;
}

HeadState HeadReader::read(std::string_view bytes) {
  for (; scanned_ < bytes.size(); ++scanned_) {
    const char c = bytes[scanned_];
    if (scanned_ >= kMaxHead) {
      return refuse(431, "headers_too_large",
                    "the request's head has more than " + std::to_string(kMaxHead >> 10U) + " KiB");
    }
    if (firstLine_ && scanned_ > kMaxTarget + 64) {
      return refuse(414, "uri_too_long", "the request's URL has more than " + std::to_string(kMaxTarget) + " bytes");
    }
    if (c == '\n') {
      if (scanned_ == 0 || bytes[scanned_ - 1] != '\r') {
        return refuse(400, "malformed_request", "a line of the head ends without CR LF");
      }
      const auto line = bytes.substr(lineStart_, scanned_ - 1 - lineStart_);
      lineStart_ = scanned_ + 1;
      if (firstLine_) {
        if (!parseRequestLine(line)) return HeadState::refused;
        firstLine_ = false;
      } else if (!line.empty()) {
        if (!parseField(line)) return HeadState::refused;
      } else {
        ++scanned_;
        return parse(bytes.substr(0, scanned_));
      }
      continue;
    }
    if (scanned_ > 0 && bytes[scanned_ - 1] == '\r') {
      return refuse(400, "malformed_request", "the head has a CR that ends no line");
    }
    if (c != '\r' && !isValueCharacter(c)) return refuse(400, "malformed_request", "the head has a control character");
  }
  return HeadState::more;
}

bool HeadReader::parseRequestLine(std::string_view line) {
  const auto blank = line.find(' ');
  const auto last = line.rfind(' ');
  if (blank == std::string_view::npos || last == blank) {
    return bad("the first line must be METHOD, URL and HTTP/1.1, with one blank between them");
  }
  const auto method = line.substr(0, blank);
  if (!isToken(method) || method.size() > 32) return bad("the method is not a name of up to 32 letters");
  version_ = line.substr(last + 1);
  if (version_ != "HTTP/1.1" && version_ != "HTTP/1.0") {
    if (!version_.starts_with("HTTP/")) return bad("the first line must end with HTTP/1.1");
    refusal_ = {505, "http_version_unsupported", "HTTP/1.1 is spoken here"};
    return false;
  }
  head_.method = method;
  return parseTarget(line.substr(blank + 1, last - blank - 1));
}

bool HeadReader::parseTarget(std::string_view target) {
  if (target.size() > kMaxTarget) {
    refusal_ = {414, "uri_too_long", "the request's URL has more than " + std::to_string(kMaxTarget) + " bytes"};
    return false;
  }
  const bool printable = std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!printable || target.empty()) return bad("the URL must be printable ASCII; write other bytes as %XX");
  if (target.find('#') != std::string_view::npos) return bad("the URL must have no fragment");
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !equal(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto path = target.find_first_of("/?");
    if (path == 0) return bad("the URL names no host");
    head_.target = path == std::string_view::npos ? "" : std::string(target.substr(path));
    if (!head_.target.starts_with('/')) head_.target.insert(head_.target.begin(), '/');
    return true;
  }
  if (!target.starts_with('/') && target != "*") return bad("the URL's path must begin with a slash");
  head_.target = target;
  return true;
}

bool HeadReader::parseField(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a header goes on in a second line");
  if (++fields_ > kMaxFields) {
    refusal_ = {431, "headers_too_large", "there are more than " + std::to_string(kMaxFields) + " headers"};
    return false;
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return bad("a header has no colon");
  const auto name = line.substr(0, colon);
  if (!isToken(name)) return bad("a header's name has characters that no name may have");
  const auto value = trimmed(line.substr(colon + 1));
  if (name.size() > kMaxFieldName || value.size() > kMaxFieldValue) {
    refusal_ = {431, "headers_too_large",
                "the header " + quoted(name) + " has more than " + std::to_string(kMaxFieldValue) + " bytes"};
    return false;
  }
  // The library takes a byte of 0xff for the end of all headers.
  if (!utf8::valid(value)) return bad("the header " + quoted(name) + " is not UTF-8");
  return take(name, value);
}

bool HeadReader::take(std::string_view name, std::string_view value) {
  if (equal(name, "Content-Length")) return takeLength(value);
  if (equal(name, "Transfer-Encoding")) return takeCoding(value);
  // Chunked is always taken, so no client may offer it; one that does means Transfer-Encoding.
  if (equal(name, "TE") && lists(value, "chunked")) return bad("TE must not name chunked");
  if (equal(name, "Host")) {
    if (value.find_first_of(" \t,/@") != std::string_view::npos) return bad("Host is not a host's name");
    ++hosts_;
  } else if (equal(name, "Expect")) {
    if (!equal(value, "100-continue")) {
      refusal_ = {417, "expectation_failed", "Expect may be 100-continue only"};
      return false;
    }
    head_.expectsContinue = version_ == "HTTP/1.1";
  } else if (equal(name, "Upgrade")) {
    head_.upgrade = true;
  } else if (equal(name, "Authorization")) {
    if (!head_.authorization.empty()) return bad("Authorization is there twice");
    head_.authorization = value;
  }
  return true;
}

bool HeadReader::takeLength(std::string_view value) {
  if (sized_) return bad("Content-Length is there twice");
  sized_ = true;
  const bool digits =
      !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return bad("Content-Length must be a number in digits");
  // 18 digits fit into 64 bits with a sign.
  if (value.size() > 18) {
    refusal_ = {413, "too_large", "no body may be that large"};
    return false;
  }
  std::from_chars(value.data(), value.data() + value.size(), head_.length);
  return true;
}

bool HeadReader::takeCoding(std::string_view value) {
  if (coded_) return bad("Transfer-Encoding is there twice");
  coded_ = true;
  if (!equal(value, "chunked")) return bad("Transfer-Encoding may be chunked only");
  return true;
}

bool HeadReader::judgeWhole() {
  if (version_ == "HTTP/1.1" ? hosts_ != 1 : hosts_ > 1) return bad("Host must be there once");
  if (sized_ && coded_) return bad("Content-Length and Transfer-Encoding exclude each other");
  if (coded_ && version_ == "HTTP/1.0") return bad("HTTP/1.0 has no Transfer-Encoding");
  if (coded_) {
    head_.body = BodyKind::chunked;
  } else if (head_.length > 0) {
    head_.body = BodyKind::sized;
  }
  if (head_.upgrade && head_.body != BodyKind::none) return bad("a request with Upgrade has no body");
  return true;
}

HeadState HeadReader::parse(std::string_view bytes) {
  if (!judgeWhole()) return HeadState::refused;
  head_.taken = bytes.size();
  head_.bytes = head_.method + " " + head_.target + " " + version_ + "\r\n";
  head_.bytes += bytes.substr(bytes.find('\n') + 1);
  return HeadState::whole;
}

}  // namespace cloister::api
