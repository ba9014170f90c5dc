#include "api/streaming.h"

#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/StreamSocket.h>

#include "api/relay.h"

namespace cloister::api {

Stream::Stream(Request& request, const std::string& type) : request_(request) {
  auto& response = request.rawResponse;
  response.setStatusAndReason(Poco::Net::HTTPResponse::HTTP_OK);
  response.setContentType(type);
  response.setKeepAlive(false);
  response.setChunkedTransferEncoding(true);
  out_ = &response.send();
  out_->flush();
}

void Stream::write(std::string_view text) {
  out_->write(text.data(), static_cast<std::streamsize>(text.size()));
}

void Stream::flush() {
  out_->flush();
}

bool Stream::open() {
  return request_.method != "HEAD" && out_->good() && !peerGone(socketOf(request_));
}

Answer Stream::finish() {
  out_->flush();
  Answer answer;
  answer.sent = true;
  return answer;
}

Poco::Net::StreamSocket& socketOf(Request& request) {
  return dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request.raw).socket();
}

}  // namespace cloister::api
