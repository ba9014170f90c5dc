// Problem: a refusal as the API answers it, application/problem+json (RFC 9457) with a stable code.
//
// Thrown by handlers and caught at the server's boundary only.
// Threads: values. Failures: none.
#pragma once

#include <exception>
#include <map>
#include <string>

namespace cloister::api {

struct Problem : std::exception {
  Problem(int httpStatus, std::string stableCode, std::string text, std::string fieldAtFault = {})
      : status(httpStatus), code(std::move(stableCode)), detail(std::move(text)), field(std::move(fieldAtFault)) {}
  [[nodiscard]] const char* what() const noexcept override { return detail.c_str(); }

  int status;
  std::string code;
  std::string detail;
  std::string field;
  std::map<std::string, std::string> headers;  // Allow, Retry-After, WWW-Authenticate
};

[[nodiscard]] Problem notFound(const std::string& what);
[[nodiscard]] Problem invalidField(const std::string& field, const std::string& detail);  // 400: wrong type or form
[[nodiscard]] Problem unacceptable(const std::string& code, const std::string& field,
                                   const std::string& detail);  // 422

// The body of the answer. `requestId` is what the log has as well.
[[nodiscard]] std::string toJson(const Problem& problem, const std::string& requestId);
[[nodiscard]] const char* reasonPhrase(int status);

}  // namespace cloister::api
