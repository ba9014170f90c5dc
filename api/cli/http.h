// The API over HTTP(S): requests that survive a lost connection, uploads, event streams, WebSockets.
//
// Every write carries an Idempotency-Key that all its attempts share, so an attempt whose answer was lost is repeated
// safely. An attempt is repeated after a transport failure, 429/502/503/504, or while an earlier one is still at
// work, with growing pauses of about three seconds in all.
//
// Threads: an Api may be used by one thread at a time; objects it returns are independent of it.
// Failures: ApiError when the server answered with a problem; TransportError when there was no answer.
#pragma once

#include <Poco/JSON/Object.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iosfwd>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "api/cli/settings.h"

namespace Poco::Net {
class HTTPClientSession;
class WebSocket;
}  // namespace Poco::Net

namespace cloister::cli {

// An application/problem+json answer. what() is the line for a person.
class ApiError : public std::runtime_error {
 public:
  ApiError(int status, const std::string& reason, const std::string& body);
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& code() const { return code_; }
  [[nodiscard]] const std::string& field() const { return field_; }
  [[nodiscard]] const std::string& detail() const { return detail_; }  // printable
  [[nodiscard]] const std::string& body() const { return body_; }

 private:
  int status_;
  std::string code_;
  std::string field_;
  std::string detail_;
  std::string body_;
};

struct TransportError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Query = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method = "GET";
  std::string path{};  // "/v1/apps"; segments already encoded, see segment()
  Query query{};
  std::string body{};
  std::string contentType = "application/json";
};

struct Response {
  int status = 0;
  std::string body{};
  [[nodiscard]] Poco::JSON::Object::Ptr object() const;  // TransportError when the body is no JSON object
};

struct ServerEvent {
  std::string id;
  std::string event;
  std::string data;
};
enum class Flow { next, stop };
enum class StreamEnd { stopped, finished, lost };

struct Retry {
  int attempts = 7;
  std::chrono::milliseconds firstPause{50};  // doubled each time
};

// A WebSocket and the session whose socket it took over.
struct Connection {
  Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();
  std::unique_ptr<Poco::Net::HTTPClientSession> session;
  std::unique_ptr<Poco::Net::WebSocket> socket;
};

class Api {
 public:
  explicit Api(Settings settings, Retry retry = {});

  [[nodiscard]] Response send(const Request& request) const;
  // The file from its start, `size` bytes; progress(sent) is called as they leave.
  [[nodiscard]] Response upload(const Request& request, std::FILE* file, std::uint64_t size,
                                const std::function<void(std::uint64_t)>& progress) const;
  // Server-sent events until the server ends (finished), `handle` does (stopped), or the connection breaks (lost).
  [[nodiscard]] StreamEnd events(const Request& request, const std::string& lastEventId,
                                 const std::function<Flow(const ServerEvent&)>& handle) const;
  // Plain text as it comes, with the same endings.
  [[nodiscard]] StreamEnd text(const Request& request, const std::function<Flow(const std::string&)>& handle) const;
  // GET with an upgrade. Only a refused connection is tried again: a command must not be started twice.
  [[nodiscard]] Connection connect(const Request& request) const;

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  [[nodiscard]] Response attempt(const Request& request, const std::string& key, std::FILE* file, std::uint64_t size,
                                 const std::function<void(std::uint64_t)>& progress) const;
  [[nodiscard]] StreamEnd stream(const Request& request, const std::string& accept, const std::string& lastEventId,
                                 const std::function<Flow(std::istream&)>& read) const;
  [[nodiscard]] Response repeated(const Request& request, std::FILE* file, std::uint64_t size,
                                  const std::function<void(std::uint64_t)>& progress) const;

  Settings settings_;
  Retry retry_;
};

// A path segment with everything that is not unreserved percent-encoded.
[[nodiscard]] std::string segment(const std::string& text);

}  // namespace cloister::cli
