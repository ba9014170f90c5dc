// HttpClient: one request a connection against cloisterd's client listener; Tenancy: a plan, a tenant and its token.
//
// Threads: any. Failures: Poco exceptions when there is no answer.
#pragma once

#include <Poco/JSON/Object.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cloister::testing {

using Headers = std::map<std::string, std::string>;

struct Reply {
  int status = 0;
  std::string body;
  Headers headers;
  [[nodiscard]] Poco::JSON::Object::Ptr json() const;
  // A string member of the body; empty when it is not there.
  [[nodiscard]] std::string text(const std::string& member) const;
};

class HttpClient {
 public:
  HttpClient(std::uint16_t port, std::string token) : port_(port), token_(std::move(token)) {}
  Reply send(const std::string& method, const std::string& path, const std::string& body = {},
             const Headers& headers = {}) const;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& token() const { return token_; }

 private:
  std::uint16_t port_;
  std::string token_;
};

// A body for POST /v1/plans.
[[nodiscard]] std::string planBody(const std::string& name);
// Creates the plan when it is missing, the tenant and a token of it.
[[nodiscard]] HttpClient makeTenant(const HttpClient& admin, const std::string& name);

struct TarEntry {
  std::string name;
  std::string content;
  char type = '0';
  std::string link = {};
};
[[nodiscard]] std::string tarGz(const std::vector<TarEntry>& entries);

}  // namespace cloister::testing
