// A port that was free a moment ago, and one request to /metrics on it.
#pragma once

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>

#include <cstdint>
#include <string>

namespace cloister::api {

inline std::uint16_t freePort() {
  const Poco::Net::ServerSocket socket(Poco::Net::SocketAddress("127.0.0.1", 0));
  return socket.address().port();
}

struct PageAnswer {
  Poco::Net::HTTPResponse head;
  std::string body;
};

inline PageAnswer ask(std::uint16_t port, const std::string& method, const std::string& path,
                      const std::string& encoding = "", const std::string& version = Poco::Net::HTTPMessage::HTTP_1_1) {
  Poco::Net::HTTPClientSession session("127.0.0.1", port);
  Poco::Net::HTTPRequest request(method, path, version);
  if (!encoding.empty()) request.set("Accept-Encoding", encoding);
  session.sendRequest(request);
  PageAnswer answer;
  Poco::StreamCopier::copyToString(session.receiveResponse(answer.head), answer.body);
  return answer;
}

}  // namespace cloister::api
