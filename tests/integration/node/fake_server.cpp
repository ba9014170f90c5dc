#include "tests/integration/node/fake_server.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/StreamCopier.h>
#include <Poco/URI.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "controlplane/model/session_protocol.h"
#include "metering/base/batch_json.h"

namespace cloister::test {
namespace {

using Poco::Net::HTTPServerRequest;
using Poco::Net::HTTPServerResponse;
using Poco::Net::WebSocket;

class Handler : public Poco::Net::HTTPRequestHandler {
 public:
  explicit Handler(FakeServer& server) : server_(server) {}
  void handleRequest(HTTPServerRequest& request, HTTPServerResponse& response) override {
    try {
      server_.serve(request, response);
    } catch (const Poco::Exception& error) {
      ADD_FAILURE() << request.getURI() << ": " << error.displayText();
    }
  }

 private:
  FakeServer& server_;
};

class Factory : public Poco::Net::HTTPRequestHandlerFactory {
 public:
  explicit Factory(FakeServer& server) : server_(server) {}
  Poco::Net::HTTPRequestHandler* createRequestHandler(const HTTPServerRequest&) override {
    return new Handler(server_);
  }

 private:
  FakeServer& server_;
};

void answer(HTTPServerResponse& response, int status, const std::string& body = {}) {
  response.setStatus(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
  response.setContentLength64(static_cast<Poco::Int64>(body.size()));
  response.setKeepAlive(false);
  response.send() << body;
}

std::string bodyOf(HTTPServerRequest& request) {
  std::string body;
  Poco::StreamCopier::copyToString(request.stream(), body);
  return body;
}

}  // namespace

FakeServer::FakeServer(const std::string& socketPath) {
  work_.nodeId = "nd-1";
  Poco::Net::ServerSocket listener;
  listener.bind(Poco::Net::SocketAddress(Poco::Net::SocketAddress::UNIX_LOCAL, socketPath), false);
  listener.listen();
  std::filesystem::permissions(socketPath, static_cast<std::filesystem::perms>(0666));
  Poco::AutoPtr<Poco::Net::HTTPServerParams> params(new Poco::Net::HTTPServerParams);
  params->setMaxThreads(12);
  params->setKeepAlive(false);
  server_ = std::make_unique<Poco::Net::HTTPServer>(new Factory(*this), listener, params);
  server_->start();
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  server_->stopAll(true);
}

void FakeServer::want(model::NodeWork work) {
  {
    const std::lock_guard lock(mutex_);
    work.nodeId = "nd-1";
    work.revision = work_.revision + 1;
    work_ = std::move(work);
  }
  changed_.notify_all();
}

void FakeServer::addBlob(const std::string& digest, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  blobs_[digest] = bytes;
}

std::optional<std::string> FakeServer::blob(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = blobs_.find(digest);
  return found == blobs_.end() ? std::nullopt : std::optional(found->second);
}

std::string FakeServer::buildLog(const std::string& build) {
  const std::lock_guard lock(mutex_);
  return logs_[build];
}

std::vector<metering::UsageRow> FakeServer::usage() {
  const std::lock_guard lock(mutex_);
  return usage_;
}

FakeServer::Batches FakeServer::batches() {
  const std::lock_guard lock(mutex_);
  return batches_;
}

void FakeServer::loseEveryAnswer(unsigned n) {
  const std::lock_guard lock(mutex_);
  loseEvery_ = n;
}

void FakeServer::refuseNextSequence() {
  const std::lock_guard lock(mutex_);
  refuseNext_ = true;
}

std::vector<model::EventReport> FakeServer::events() {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::optional<model::NodeStatus> FakeServer::awaitStatus(const StatusCheck& check, int seconds) {
  std::unique_lock lock(mutex_);
  const bool good = changed_.wait_for(lock, std::chrono::seconds(seconds), [&] { return status_ && check(*status_); });
  return good ? status_ : std::nullopt;
}

std::optional<model::InstanceReport> FakeServer::awaitInstance(const std::string& id, model::InstanceState state,
                                                               int seconds) {
  std::optional<model::InstanceReport> found;
  (void)awaitStatus(
      [&](const model::NodeStatus& status) {
        for (const auto& report : status.instances) {
          if (report.id == id && report.state == state) found = report;
        }
        return found.has_value();
      },
      seconds);
  return found;
}

std::optional<model::BuildReport> FakeServer::awaitBuild(const std::string& id, int seconds) {
  std::optional<model::BuildReport> found;
  (void)awaitStatus(
      [&](const model::NodeStatus& status) {
        for (const auto& report : status.builds) {
          const bool over = report.state == model::BuildState::succeeded || report.state == model::BuildState::failed;
          if (report.id == id && over) found = report;
        }
        return found.has_value();
      },
      seconds);
  return found;
}

std::vector<model::InstanceState> FakeServer::history(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return history_[id];
}

void FakeServer::expectSession(const std::string& id, std::vector<std::string> input, const std::string& leaveAt) {
  const std::lock_guard lock(mutex_);
  sessions_[id].input = std::move(input);
  sessions_[id].leaveAt = leaveAt;
}

std::vector<std::string> FakeServer::command(const std::vector<std::string>& argv) {
  std::vector<std::string> frames;
  for (const auto& argument : argv) frames.push_back('\x04' + argument);
  frames.emplace_back("\x03{\"start\": true}");
  return frames;
}

FakeServer::Conversation FakeServer::awaitSession(const std::string& id, int seconds) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(seconds), [&] { return sessions_[id].closed; });
  return sessions_[id];
}

void FakeServer::serve(HTTPServerRequest& request, HTTPServerResponse& response) {
  const std::string path = Poco::URI(request.getURI()).getPath();
  EXPECT_EQ(request.get("Authorization", ""), "Bearer clst_test") << path;
  if (path == "/node/v1/desired") return serveDesired(request, response);
  const std::string last = path.substr(path.rfind('/') + 1);
  if (path.starts_with("/node/v1/sessions/")) return serveSession(last, request, response);
  if (path.starts_with("/node/v1/blobs/") && request.getMethod() == "GET") {
    const auto bytes = blob(last);
    return bytes ? answer(response, 200, *bytes) : answer(response, 404);
  }
  const std::string body = bodyOf(request);
  {
    const std::lock_guard lock(mutex_);
    if (path.starts_with("/node/v1/blobs/")) blobs_[last] = body;
    if (path.starts_with("/node/v1/builds/")) logs_[path.substr(16, path.size() - 16 - 4)] += body;
    if (path == "/node/v1/status") {
      status_ = model::nodeStatusFromJson(body);
      events_.insert(events_.end(), status_->events.begin(), status_->events.end());
      for (const auto& report : status_->instances) {
        auto& states = history_[report.id];
        if (states.empty() || states.back() != report.state) states.push_back(report.state);
      }
    }
  }
  changed_.notify_all();
  if (path == "/node/v1/usage") return serveUsage(body, response);
  answer(response, path.starts_with("/node/v1/blobs/") ? 201 : 204);
}

void FakeServer::serveUsage(const std::string& body, HTTPServerResponse& response) {
  const auto batch = metering::usageBatchFromJson(body);
  ASSERT_TRUE(batch.ok()) << batch.error().message();
  const std::lock_guard lock(mutex_);
  const std::pair key{batch->source, batch->sequence};
  if (!seen_.contains(key) && std::exchange(refuseNext_, false)) others_.insert(key);
  if (others_.contains(key)) {
    ++batches_.refused;
    return answer(response, 409);
  }
  const auto [known, fresh] = seen_.try_emplace(key, body);
  if (fresh) {
    ++batches_.taken;
    usage_.insert(usage_.end(), batch->rows.begin(), batch->rows.end());
    if (loseEvery_ != 0 && batches_.taken % loseEvery_ == 0) return answer(response, 503);
  } else {
    ++batches_.repeated;
    if (known->second != body) ++batches_.differing;
  }
  answer(response, 200, "{\"acknowledged\": \"" + std::to_string(batch->sequence) + "\"}");
}

void FakeServer::serveDesired(HTTPServerRequest& request, HTTPServerResponse& response) {
  std::int64_t known = -1;
  for (const auto& [key, value] : Poco::URI(request.getURI()).getQueryParameters()) {
    if (key == "revision") known = std::stoll(value);
  }
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(5), [&] { return stopping_ || work_.revision > known; });
  if (work_.revision <= known || work_.revision == 0) {
    lock.unlock();
    return answer(response, 204);
  }
  const std::string body = model::toJson(work_);
  lock.unlock();
  answer(response, 200, body);
}

void FakeServer::serveSession(const std::string& id, HTTPServerRequest& request, HTTPServerResponse& response) {
  WebSocket socket(request, response);
  socket.setReceiveTimeout(Poco::Timespan(20, 0));
  std::vector<std::string> input;
  {
    const std::lock_guard lock(mutex_);
    input = sessions_[id].input;
  }
  for (const auto& message : input) {
    socket.sendFrame(message.data(), static_cast<int>(message.size()), WebSocket::FRAME_BINARY);
  }
  try {
    for (;;) {
      Poco::Buffer<char> buffer(0);
      int flags = 0;
      const int got = socket.receiveFrame(buffer, flags);
      if (got <= 0 || (flags & WebSocket::FRAME_OP_BITMASK) == WebSocket::FRAME_OP_CLOSE) break;
      const std::lock_guard lock(mutex_);
      const std::string payload(buffer.begin() + 1, static_cast<std::size_t>(got) - 1);
      sessions_[id].said[buffer[0]] += payload;
      if (buffer[0] == static_cast<char>(model::Channel::control)) sessions_[id].last = payload;
      const auto& leaveAt = sessions_[id].leaveAt;
      if (!leaveAt.empty() && sessions_[id].said[1].find(leaveAt) != std::string::npos) break;
    }
  } catch (const Poco::Exception& error) {
    ADD_FAILURE() << "session " << id << ": " << error.displayText();
  }
  {
    const std::lock_guard lock(mutex_);
    sessions_[id].closed = true;
  }
  changed_.notify_all();
}

}  // namespace cloister::test
