#include "api/request.h"

#include <Poco/DateTime.h>
#include <Poco/DateTimeFormat.h>
#include <Poco/DateTimeFormatter.h>
#include <Poco/DateTimeParser.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/RandomStream.h>
#include <Poco/Timestamp.h>

#include <algorithm>
#include <charconv>
#include <regex>

#include "api/problem.h"
#include "api/target.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

constexpr std::size_t kMostShownPath = 400;
constexpr std::size_t kMostShownMethod = 40;

std::optional<std::int64_t> toInteger(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string newRequestId() {
  static constexpr char kHex[] = "0123456789abcdef";
  Poco::RandomInputStream chance;
  std::string id = "rq-";
  for (int i = 0; i < 8; ++i) {
    const auto byte = static_cast<unsigned>(chance.get()) & 0xFFU;
    id += kHex[byte >> 4U];
    id += kHex[byte & 15U];
  }
  return id;
}

Request::Request(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response)
    : raw(request),
      rawResponse(response),
      id(newRequestId()),
      method(utf8::shortened(utf8::printable(request.getMethod()), kMostShownMethod)),
      target_(request.getURI()) {
  path = target_.substr(0, target_.find('?'));
}

void Request::parseTarget() {
  auto target = api::parseTarget(target_);
  segments = std::move(target.segments);
  query_ = std::move(target.query);
}

std::string Request::header(const std::string& name) const {
  auto value = raw.get(name, "");
  if (!utf8::valid(value)) throw invalidField(name, "is not UTF-8");
  return value;
}

std::string Request::shownPath() const {
  return utf8::shortened(utf8::printable(path), kMostShownPath);
}

std::optional<std::string> Request::query(const std::string& name) const {
  const auto all = queries(name);
  if (all.size() > 1) throw invalidField(name, "is given more than once");
  return all.empty() ? std::nullopt : std::optional(all.front());
}

std::vector<std::string> Request::queries(const std::string& name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : query_) {
    if (key == name) out.push_back(value);
  }
  return out;
}

bool Request::flag(const std::string& name) const {
  const auto value = query(name);
  if (!value || *value == "false" || *value == "0") return false;
  if (*value == "true" || *value == "1" || value->empty()) return true;
  throw invalidField(name, "must be true or false");
}

std::optional<std::int64_t> Request::integer(const std::string& name, std::int64_t least, std::int64_t most) const {
  const auto value = query(name);
  if (!value) return std::nullopt;
  const auto number = toInteger(*value);
  if (!number || *number < least || *number > most) {
    throw invalidField(name, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

std::optional<model::Micros> Request::time(const std::string& name, model::Micros now) const {
  const auto value = query(name);
  if (!value) return std::nullopt;
  const auto time = parseTime(*value, now);
  if (!time) throw invalidField(name, "must be an RFC 3339 time, or an age like 30s, 10m, 2h, 1d");
  return time;
}

bool Request::accepts(const std::string& type) const {
  return header("Accept").find(type) != std::string::npos;
}

void Request::requireMatch(std::int64_t revision) const {
  const auto wanted = header("If-Match");
  if (wanted.empty() || wanted == "*" || wanted == etag(revision)) return;
  throw Problem(412, "precondition_failed", "it was changed meanwhile; its ETag is " + etag(revision), "If-Match");
}

std::string etag(std::int64_t revision) {
  return "\"" + std::to_string(revision) + "\"";
}

std::string formatTime(model::Micros time) {
  if (time == 0) return {};
  return Poco::DateTimeFormatter::format(Poco::Timestamp(time), "%Y-%m-%dT%H:%M:%S.%FZ");
}

std::optional<model::Micros> parseTime(const std::string& text, model::Micros now) {
  static const std::regex kAge("([0-9]{1,9})([smhd])");
  static const std::regex kTime(
      "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})");
  if (text.size() > 40) return std::nullopt;
  std::smatch match;
  if (std::regex_match(text, match, kAge)) {
    const std::string unit = match[2];
    const std::int64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 86400;
    return now - *toInteger(match[1]) * seconds * 1'000'000;
  }
  if (!std::regex_match(text, kTime)) return std::nullopt;
  Poco::DateTime time;
  int zone = 0;
  if (!Poco::DateTimeParser::tryParse(Poco::DateTimeFormat::ISO8601_FRAC_FORMAT, text, time, zone)) return std::nullopt;
  time.makeUTC(zone);
  return time.timestamp().epochMicroseconds();
}

}  // namespace cloister::api
