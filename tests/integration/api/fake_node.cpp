#include "fake_node.h"

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/WebSocket.h>
#include <Poco/StreamCopier.h>
#include <openssl/sha.h>

#include <array>
#include <chrono>
#include <stdexcept>

namespace cloister::testing {

using Poco::Net::HTTPRequest;
using Poco::Net::HTTPResponse;

std::unique_ptr<Poco::Net::HTTPClientSession> FakeNode::connect() const {
  Poco::Net::StreamSocket socket;
  socket.connect(Poco::Net::SocketAddress(Poco::Net::SocketAddress::UNIX_LOCAL, socket_));
  socket.setReceiveTimeout(Poco::Timespan(40, 0));
  auto session = std::make_unique<Poco::Net::HTTPClientSession>(socket);
  session->setTimeout(Poco::Timespan(40, 0));
  return session;
}

Reply FakeNode::send(const std::string& method, const std::string& path, const std::string& body,
                     const std::string& type) const {
  const auto session = connect();
  HTTPRequest request(method, path, HTTPRequest::HTTP_1_1);
  request.setHost("cloisterd");
  request.setCredentials("Bearer", token_);
  if (method != "GET") {
    request.setContentType(type);
    request.setContentLength64(static_cast<Poco::Int64>(body.size()));
  }
  session->sendRequest(request) << body;
  HTTPResponse response;
  std::istream& in = session->receiveResponse(response);
  Reply reply;
  reply.status = static_cast<int>(response.getStatus());
  Poco::StreamCopier::copyToString(in, reply.body);
  return reply;
}

std::optional<model::NodeWork> FakeNode::desired(std::int64_t revision) const {
  const auto reply = send("GET", "/node/v1/desired?node=" + name_ + "&revision=" + std::to_string(revision));
  if (reply.status == 204) return std::nullopt;
  if (reply.status != 200) throw std::runtime_error("desired: " + reply.body);
  return model::nodeWorkFromJson(reply.body);
}

std::optional<model::NodeWork> FakeNode::await(const std::function<bool(const model::NodeWork&)>& wanted) const {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::int64_t revision = -1;
  while (std::chrono::steady_clock::now() < until) {
    const auto work = desired(revision);
    if (!work) continue;
    if (wanted(*work)) return work;
    revision = work->revision;
  }
  return std::nullopt;
}

Reply FakeNode::report(const model::NodeWork& work, model::InstanceState state,
                       const std::vector<model::BuildReport>& builds) const {
  model::NodeStatus status;
  status.nodeId = work.nodeId;
  status.bootId = "5a3c8a8e-7b9e-4d0e-9a55-0123456789ab";
  status.observedRevision = work.revision;
  for (const auto& instance : work.instances) {
    model::InstanceReport entry;
    entry.id = instance.id;
    entry.state = instance.desired == model::DesiredState::stop ? model::InstanceState::stopped : state;
    entry.changedAt = 1'700'000'000'000'000;
    status.instances.push_back(entry);
  }
  status.builds = builds;
  status.posture.push_back({"user-namespace", "enforced", "every tenant has its own ids"});
  return send("POST", "/node/v1/status", model::toJson(status));
}

std::string FakeNode::putBlob(const std::string& bytes) const {
  const auto digest = digestOf(bytes);
  const auto reply = send("PUT", "/node/v1/blobs/" + digest, bytes, "application/octet-stream");
  if (reply.status != 201) throw std::runtime_error("blob: " + reply.body);
  return digest;
}

std::unique_ptr<Poco::Net::WebSocket> FakeNode::join(const std::string& session) const {
  const auto connection = connect();
  HTTPRequest request(HTTPRequest::HTTP_GET, "/node/v1/sessions/" + session, HTTPRequest::HTTP_1_1);
  request.setHost("cloisterd");
  request.setCredentials("Bearer", token_);
  HTTPResponse response;
  return std::make_unique<Poco::Net::WebSocket>(*connection, request, response);
}

std::string digestOf(const std::string& bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(static_cast<const unsigned char*>(static_cast<const void*>(bytes.data())), bytes.size(), hash.data());
  std::string out;
  for (const auto byte : hash) {
    out += "0123456789abcdef"[byte >> 4U];
    out += "0123456789abcdef"[byte & 15U];
  }
  return out;
}

}  // namespace cloister::testing
