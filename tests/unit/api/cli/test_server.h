// A real HTTP server on a loopback port, whose answers a test gives as a function, and which keeps what it was asked.
#pragma once

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerParams.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerRequestImpl.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cloister::cli::test {

struct Asked {
  std::string method;
  std::string uri;
  std::string authorization;
  std::string idempotencyKey;
  std::string contentType;
  std::string body;
};

class TestServer {
 public:
  using Request = Poco::Net::HTTPServerRequest;
  using Answer = Poco::Net::HTTPServerResponse;
  // `count` is how many requests came before this one.
  using Handler = std::function<void(const Asked& asked, std::size_t count, Request& request, Answer& answer)>;

  explicit TestServer(Handler handler)
      : handler_(std::move(handler)),
        socket_(Poco::Net::SocketAddress("127.0.0.1", 0)),
        server_(new Factory(*this), socket_, new Poco::Net::HTTPServerParams) {
    server_.start();
  }
  ~TestServer() { server_.stopAll(true); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(socket_.address().port()); }
  [[nodiscard]] std::vector<Asked> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  static void reply(Answer& answer, int status, const std::string& body, const std::string& type = "application/json") {
    answer.setStatusAndReason(static_cast<Poco::Net::HTTPResponse::HTTPStatus>(status));
    answer.setContentType(type);
    answer.sendBuffer(body.data(), body.size());
  }
  // Breaks the connection before any answer.
  static void breakOff(Request& request) {
    dynamic_cast<Poco::Net::HTTPServerRequestImpl&>(request).socket().shutdown();
    throw Poco::Exception("broken off by the test");
  }

 private:
  struct OneRequest : Poco::Net::HTTPRequestHandler {
    explicit OneRequest(TestServer& owner) : owner_(owner) {}
    void handleRequest(Request& request, Answer& answer) override {
      Asked asked{request.getMethod(),
                  request.getURI(),
                  request.get("Authorization", ""),
                  request.get("Idempotency-Key", ""),
                  request.getContentType(),
                  {}};
      if (request.hasContentLength()) Poco::StreamCopier::copyToString(request.stream(), asked.body);
      std::size_t count = 0;
      {
        const std::lock_guard lock(owner_.mutex_);
        count = owner_.asked_.size();
        owner_.asked_.push_back(asked);
      }
      owner_.handler_(asked, count, request, answer);
    }
    TestServer& owner_;
  };
  struct Factory : Poco::Net::HTTPRequestHandlerFactory {
    explicit Factory(TestServer& owner) : owner_(owner) {}
    Poco::Net::HTTPRequestHandler* createRequestHandler(const Poco::Net::HTTPServerRequest&) override {
      return new OneRequest(owner_);
    }
    TestServer& owner_;
  };

  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  Handler handler_;
  Poco::Net::ServerSocket socket_;
  Poco::Net::HTTPServer server_;
};

}  // namespace cloister::cli::test
