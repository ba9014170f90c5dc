// Request and Answer: one HTTP exchange as handlers see it.
//
// A handler returns an Answer, or streams on its own through `raw` and returns one with `sent`.
// All text in it is UTF-8 without NUL: a path, a query or a header that is none is refused where it is read.
// Threads: one exchange, one thread. Failures: Problem 400 naming the query parameter or header.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/model.h"

namespace Poco::Net {
class HTTPServerRequest;
class HTTPServerResponse;
}  // namespace Poco::Net

namespace cloister::api {

struct Answer {
  int status = 200;
  std::string body;
  std::map<std::string, std::string> headers;  // Location, ETag
  std::string type = "application/json";
  bool sent = false;  // the handler wrote it to the connection itself
};

class Request {
 public:
  Request(Poco::Net::HTTPServerRequest& request, Poco::Net::HTTPServerResponse& response);
  // Takes the URL apart; apart from the constructor so that a bad one can be answered with the request's id.
  void parseTarget();

  Poco::Net::HTTPServerRequest& raw;
  Poco::Net::HTTPServerResponse& rawResponse;
  std::string id;  // in the log and in every answer
  std::string method;
  std::string path;                   // as sent, without the query
  std::vector<std::string> segments;  // decoded
  std::string body;                   // of a JSON write, already read
  bool bodyRead = false;              // nothing of it is left in the connection

  // Set by the server before the handler runs.
  std::map<std::string, std::string> parameters;  // {app} and so on
  std::optional<model::Token> caller;
  std::optional<model::Tenant> tenant;  // the tenant that is acted for: always there on a tenant's resources

  [[nodiscard]] const std::string& parameter(const std::string& name) const { return parameters.at(name); }
  [[nodiscard]] std::string header(const std::string& name) const;
  // The path for a log, an audit row or a message: one line, bounded.
  [[nodiscard]] std::string shownPath() const;
  [[nodiscard]] std::optional<std::string> query(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> queries(const std::string& name) const;
  [[nodiscard]] bool flag(const std::string& name) const;  // absent: false
  [[nodiscard]] std::optional<std::int64_t> integer(const std::string& name, std::int64_t least,
                                                    std::int64_t most) const;
  // RFC 3339, or an age (30s, 10m, 2h, 1d) before `now`.
  [[nodiscard]] std::optional<model::Micros> time(const std::string& name, model::Micros now) const;
  [[nodiscard]] bool accepts(const std::string& type) const;
  // Throws 412 when the caller sent an If-Match that is not `revision`'s ETag.
  void requireMatch(std::int64_t revision) const;
  // Path and query, for the fingerprint of an idempotent write.
  [[nodiscard]] const std::string& target() const { return target_; }

 private:
  std::string target_;
  std::vector<std::pair<std::string, std::string>> query_;
};

[[nodiscard]] std::string newRequestId();
[[nodiscard]] std::string etag(std::int64_t revision);
[[nodiscard]] std::string formatTime(model::Micros time);  // RFC 3339, UTC, microseconds; empty for 0
[[nodiscard]] std::optional<model::Micros> parseTime(const std::string& text, model::Micros now);

}  // namespace cloister::api
