// Stream: an answer that is written while it comes into being: chunked, and over when the client has left.
//
// Threads: one. Failures: none after construction; open() tells whether the client still listens.
#pragma once

#include <ostream>
#include <string>
#include <string_view>

#include "api/request.h"

namespace Poco::Net {
class StreamSocket;
}

namespace cloister::api {

class Stream {
 public:
  // Sends status 200 and the head.
  Stream(Request& request, const std::string& type);
  void write(std::string_view text);
  void flush();
  [[nodiscard]] bool open();
  // What the handler returns.
  [[nodiscard]] Answer finish();

 private:
  Request& request_;
  std::ostream* out_;
};

// The connection under a request.
[[nodiscard]] Poco::Net::StreamSocket& socketOf(Request& request);

}  // namespace cloister::api
