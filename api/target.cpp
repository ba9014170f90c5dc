#include "api/target.h"

#include <Poco/Exception.h>
#include <Poco/URI.h>

#include <algorithm>

#include "api/problem.h"
#include "sandbox/base/utf8.h"

namespace cloister::api {
namespace {

constexpr std::size_t kMostShownName = 100;

// Percent-decoding of one path segment or query part; `plus` makes '+' a blank.
std::string decoded(const std::string& text, const char* what, bool plus) {
  std::string out;
  try {
    Poco::URI::decode(text, out, plus);
  } catch (const Poco::Exception&) {
    throw Problem(400, "malformed_url", std::string(what) + " has a bad percent escape");
  }
  if (out.find('\0') != std::string::npos) throw Problem(400, "malformed_url", std::string(what) + " has a NUL");
  if (!utf8::valid(out)) throw Problem(400, "malformed_url", std::string(what) + " is not UTF-8");
  return out;
}

// One part of a query, name=value.
std::pair<std::string, std::string> parameterOf(const std::string& part) {
  const auto equals = part.find('=');
  auto name = decoded(part.substr(0, equals), "the query", true);
  if (equals == std::string::npos) return {std::move(name), ""};
  try {
    auto value = decoded(part.substr(equals + 1), "its value", true);
    return {std::move(name), std::move(value)};
  } catch (const Problem& problem) {
    const auto shown = utf8::shortened(name, kMostShownName);
    throw Problem(problem.status, problem.code, shown + ": " + problem.detail, shown);
  }
}

}  // namespace

Target parseTarget(const std::string& uri) {
  Target target;
  const auto mark = uri.find('?');
  const std::string path = uri.substr(0, mark);
  if (!path.starts_with('/')) throw Problem(400, "malformed_url", "the path must begin with a slash");
  for (std::size_t at = 1; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    target.segments.push_back(decoded(path.substr(at, end - at), "the path", false));
    at = end + 1;
  }
  const std::string text = mark == std::string::npos ? "" : uri.substr(mark + 1);
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('&', at), text.size());
    const auto part = text.substr(at, end - at);
    if (!part.empty()) target.query.push_back(parameterOf(part));
    at = end + 1;
  }
  return target;
}

}  // namespace cloister::api
